"""`save-avs eval`: how good a model is, in figures with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from save_avs.cli._options import AsJson, Device, DryRun, Overwrite, Precision, reject_options
from save_avs.cli.completion import model_names
from save_avs.errors import UsageError

EXAMPLES = """Examples:

\b
  save-avs eval save-tiny --data s4 --root AVSBench --split test
  save-avs eval runs/s4/model --data ms3 --root AVSBench --protocol official --protocol cavp
  save-avs eval save-tiny runs/s4/model --data s4 --root AVSBench --json

\b
  save-avs data tuxpaint corpora/tuxpaint
  save-avs eval save-tiny --data scenes --split test
"""

SCENES = "scenes"


def evaluate(  # noqa: PLR0913, PLR0917 -- an option each
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME|PATH",
            help="Bundled models or models' folders; each further one is compared with the first.",
            autocompletion=model_names,
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="NAME",
            help="s4, ms3, v1s, v1m, v2, avss, v3-0, v3-1, v3-3, v3-5, synthetic, folder, or scenes.",
        ),
    ] = SCENES,
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", help="Where the data set lies.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Which part: train, val, test.")] = "test",
    protocols: Annotated[
        list[str] | None,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="official, official-batch4, dataset, sama, gavs, cavp; may be given several times.",
            show_default="official, official-batch4, dataset",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", min=1, help="Side in pixels at which `dataset` compares masks."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            show_default="a new folder in runs/eval",
            help="Where report.json, report.md and examples.png go.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave broken clips out and name them; exit code 3.")
    ] = False,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Frames the model sees at once.")] = 16,
    as_json: AsJson = False,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Of intervals and tests, and of scenes.")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option("--corpus", metavar="DIR", help="scenes: the corpus to compose from.")
    ] = None,
    scenes: Annotated[int | None, typer.Option("--scenes", min=1, help="scenes: how many to draw.")] = None,
    precision: Precision = "auto",
    device: Device = "auto",
    dry_run: DryRun = False,
) -> int:
    """Measure models: how well their masks fit, on a data set of clips or on composed scenes."""
    if data == SCENES:
        reject_options({"--root": root, "--protocol": protocols, "--size": size}, "clips of a data set")
        reject_options(
            {"--skip-broken": skip_broken or None, "--json": as_json or None}, "clips of a data set"
        )
        from save_avs.cli.evaluate_scenes import evaluate_on_scenes

        return evaluate_on_scenes(
            models,
            split=split,
            corpus=corpus,
            scenes=scenes,
            seed=seed,
            output=output,
            overwrite=overwrite,
            precision=precision,
            device=device,
            dry_run=dry_run,
        )
    reject_options({"--corpus": corpus, "--scenes": scenes}, "--data scenes")
    from save_avs.cli.evaluate_clips import Request, evaluate_on_clips

    if root is None:
        raise UsageError(f"--data {data} needs --root DIR: where the data set lies")
    return evaluate_on_clips(
        Request(
            models=models,
            data=data,
            root=root,
            split=split,
            protocols=protocols,
            size=size,
            batch=batch,
            seed=seed or 0,
            skip_broken=skip_broken,
            output=output,
            overwrite=overwrite,
            as_json=as_json,
            precision=precision,
            device=device,
            dry_run=dry_run,
        )
    )
