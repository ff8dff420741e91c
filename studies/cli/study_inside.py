"""`save-avs study inside`: what a model does between a clip and its masks, in pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from save_avs.cli._console import print_line
from save_avs.cli._options import AsJson, Device, DryRun, Overwrite

EXAMPLES = """Examples:

\b
  save-avs study inside clip.mp4
  save-avs study inside clip.mp4 --model runs/mine/scenes/model --at 1.5 --at 6 -o inside
  save-avs study inside clip.mp4 --corpus corpora/tuxpaint --scenes 200
"""

CORPUS, SCENES, SEED = Path("sample"), 60, 2024


def inside(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A video with sound.")],
    model: Annotated[
        str, typer.Option("--model", metavar="NAME|PATH", help="A bundled model or a model's folder.")
    ] = "save-tiny",
    times: Annotated[
        list[float] | None,
        typer.Option(
            "--at",
            metavar="SECONDS",
            help="A moment to look at; may be given several times.",
            show_default="four, spread evenly",
        ),
    ] = None,
    corpus: Annotated[
        Path,
        typer.Option("--corpus", metavar="DIR", help="Whose sounds and scenes the pictures are checked on."),
    ] = CORPUS,
    scenes: Annotated[
        int, typer.Option("--scenes", min=2, help="On how many scenes the pictures are checked.")
    ] = SCENES,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of sounds, scenes and intervals.")] = SEED,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            show_default="a new folder in runs/studies",
            help="Where the page goes: report.html, report.md with pictures, tables as CSV, report.json.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    device: Device = "auto",
    dry_run: DryRun = False,
) -> int:
    """Picture what adapters, injections and the prompt do, and check that the pictures tell the truth."""
    from save_avs.cli._models import load_and_announce
    from save_avs.cli._output_dirs import STUDIES, resolve_output_dir
    from save_avs.synthesis.corpus import Corpus
    from studies.cli.study_report import print_report
    from studies.environment import describe_environment
    from studies.interpretability import study_inside
    from studies.interpretability.moments import moments_of

    folder = resolve_output_dir(output, STUDIES / f"inside-{clip.stem}", overwrite=overwrite)
    if dry_run:
        print_line(f"would look inside {model} at {clip.name}, and check on {scenes} scenes -> {folder}")
        return 0
    things = Corpus.load(corpus, "test")
    network = load_and_announce(model, device=device, precision="fp32")
    moments = moments_of(clip, times or (), network.frontend)
    report = study_inside(
        network,
        moments,
        things,
        scenes=scenes,
        seed=seed,
        setting=describe_environment(
            clip=clip.name,
            moments=", ".join(f"{moment.time:.2f} s" for moment in moments),
            model=f"{network.name}, {network.precision}",
            checked_on=f"{scenes} scenes of {corpus}, split test",
            seed=seed,
        ),
        progress=lambda done: print_line(f"{done}/{scenes} scenes", err=True),
    )
    report.save(folder, overwrite=overwrite)
    print_report(report, folder, as_json=as_json)
    return 0
