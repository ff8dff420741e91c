"""`save-avs study listening`: whether a model marks what is heard, or what it would mark anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from save_avs.cli._console import print_line
from save_avs.cli._options import AsJson, Device, DryRun, Overwrite, Precision, reject_options
from save_avs.errors import UsageError

if TYPE_CHECKING:
    from save_avs.audio.frontend import Frontend
    from save_avs.inference.predictor import FrameModel
    from studies.audio_sensitivity.trials import Trial

EXAMPLES = """Examples:

\b
  save-avs study listening
  save-avs study listening save-tiny runs/mine/scenes/model --corpus corpora/tuxpaint --scenes 300
  save-avs study listening save-tiny --data s4 --root AVSBench
"""

DATA = "scenes"
CORPUS, SCENES, SEED = Path("sample"), 100, 2024
STEP = 50  # pictures between two lines of progress


def listening(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME|PATH",
            help="Bundled models or models' folders, compared with one another.",
            show_default="save-tiny",
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="NAME",
            help="scenes, drawn from a corpus, or clips: s4, ms3, v1s, v1m, v2, avss, v3-0, ..., folder.",
        ),
    ] = DATA,
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", help="Clips: where the data set lies.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Which part: train, val, test.")] = "test",
    corpus: Annotated[
        Path | None,
        typer.Option(
            "--corpus", metavar="DIR", help="scenes: the corpus to compose from.", show_default="sample"
        ),
    ] = None,
    scenes: Annotated[
        int | None, typer.Option("--scenes", min=2, help="scenes: how many of each kind.", show_default="100")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of scenes, swaps and intervals.")] = SEED,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            show_default="a new folder in runs/studies",
            help="Where the report goes: report.html, report.md, tables as CSV, report.json.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    precision: Precision = "auto",
    device: Device = "auto",
    dry_run: DryRun = False,
) -> int:
    """Show pictures under their own sound and under wrong, shifted, mixed ones: a listening score."""
    from save_avs.cli._models import load_and_announce
    from save_avs.cli._output_dirs import STUDIES, resolve_output_dir, unique_names
    from save_avs.runtimes.loading import find_model_folder
    from studies.audio_sensitivity import study_listening
    from studies.cli.study_report import print_report
    from studies.environment import describe_environment

    names = unique_names(models or ["save-tiny"])
    for model in names.values():
        find_model_folder(model)
    folder = resolve_output_dir(output, STUDIES / "listening", overwrite=overwrite)
    about, trials_at = _opened(data, root, split, corpus, scenes, seed)
    if dry_run:
        print_line(f"would have {', '.join(names)} listen to {about} -> {folder}")
        return 0
    networks: dict[str, FrameModel] = {
        name: load_and_announce(model, device=device, precision=precision) for name, model in names.items()
    }

    ears = {network.frontend for network in networks.values()}
    if len(ears) > 1:
        raise UsageError("these models hear through different front-ends: study them one after another")

    def progress(done: int) -> None:
        if done % STEP == 0:
            print_line(f"{done} pictures", err=True)

    report = study_listening(
        networks,
        trials_at(max(network.image_size for network in networks.values()), ears.pop()),
        setting=describe_environment(
            data=about,
            seed=seed,
            precision=", ".join(f"{name} {network.precision}" for name, network in networks.items()),
        ),
        seed=seed,
        progress=progress,
    )
    report.save(folder, overwrite=overwrite)
    print_report(report, folder, as_json=as_json)
    return 0


def _opened(
    data: str, root: Path | None, split: str, corpus: Path | None, scenes: int | None, seed: int
) -> tuple[str, Callable[[int, Frontend], Iterable[list[Trial]]]]:
    """What is listened to, in words, and its trials, pictures of scenes being as large as one says."""
    if data != DATA:
        reject_options({"--corpus": corpus, "--scenes": scenes}, "--data scenes")
        if root is None:
            raise UsageError(f"--data {data} needs --root DIR: where the data set lies")
        from save_avs.datasets import open_dataset
        from studies.audio_sensitivity.clips import clip_trials

        clips = open_dataset(data, root, split)
        return f"{data}, split {split}, {len(clips)} clips", lambda _, frontend: clip_trials(
            clips.with_frontend(frontend), seed=seed
        )
    reject_options({"--root": root}, "clips of a data set")
    from save_avs.synthesis.corpus import Corpus, parse_split
    from studies.audio_sensitivity.scenes import scene_trials

    things, count = Corpus.load(corpus or CORPUS, parse_split(split)), scenes or SCENES
    return (
        f"scenes of {corpus or CORPUS}, split {split}, {count} of each kind",
        lambda side, frontend: scene_trials(things, scenes=count, seed=seed, side=side, frontend=frontend),
    )
