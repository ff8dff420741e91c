"""`save-avs study`: questions to the model, answered by declared runs and their statistics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from save_avs.cli._options import AsJson
from studies.cli import study_few_shot, study_inside, study_listening

GRIDS = {
    "starting-point": "What the frozen base gives without sound, asked by SAM's own prompts.",
    "adapters": "Each adapter's part, each part of the audio path, and SAMA-AVS's as a rival.",
    "compression": "The image adapters' ratio and spatial branch.",
    "resolution": "Size of the picture: quality by size of what sounds, time, memory.",
    "backbones": "Audio backbones trained on the same sounds.",
}
EXAMPLES = """Examples:

\b
  save-avs study {name} --dry-run
  save-avs study {name}
  save-avs study {name} stages.scenes.steps=500 -o runs/studies/longer
  save-avs study {name} --recipe configs/s4-256.yaml stages.train.data.root=data/avsbench -o runs/studies/s4

\b
Run the same command again to go on where it stopped.
"""

app = typer.Typer(
    help="Studies: grids of runs that go on where they stopped, and end in one report with statistics.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A study of your own (YAML).")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Values in place of the recipe's, in every run."),
]
OfRecipe = Annotated[
    Path | None,
    typer.Option(
        "--recipe", metavar="FILE", help="A recipe to vary in place of the study's.", show_default=False
    ),
]
Only = Annotated[
    str | None, typer.Option("--runs", metavar="A,B", help="Only these variants, or runs as A-seed0.")
]
Seeds = Annotated[
    int | None,
    typer.Option("--seeds", min=1, metavar="N", show_default="as declared", help="Runs of every variant."),
]
Jobs = Annotated[
    int, typer.Option("--jobs", min=1, metavar="N", help="Runs at a time, each with its share of the cores.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="DIR", show_default="runs/studies/NAME", help="The study's folder."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the runs, with what they take; run nothing.")]
ReportOnly = Annotated[
    bool, typer.Option("--report-only", help="Write the report of the runs that are done; run nothing.")
]


def _grid(name: str) -> Callable[..., int]:
    """The command of a declared study."""

    def command(
        overrides: Overrides = None,
        recipe: OfRecipe = None,
        runs: Only = None,
        seeds: Seeds = None,
        jobs: Jobs = 1,
        output: Output = None,
        dry_run: DryRun = False,
        report_only: ReportOnly = False,
        as_json: AsJson = False,
    ) -> int:
        return grid(Path(name), overrides, recipe, runs, seeds, jobs, output, dry_run, report_only, as_json)

    command.__doc__ = GRIDS[name]
    return command


def grid(
    file: File,
    overrides: Overrides = None,
    recipe: OfRecipe = None,
    runs: Only = None,
    seeds: Seeds = None,
    jobs: Jobs = 1,
    output: Output = None,
    dry_run: DryRun = False,
    report_only: ReportOnly = False,
    as_json: AsJson = False,
) -> int:
    """A grid of your own; docs/lab-notes/studies.md says how one is declared."""
    from studies.cli.study_grid import Request, run_grid

    return run_grid(
        Request(
            study=str(file),
            overrides=tuple(overrides or ()),
            recipe=recipe,
            only=tuple(runs.split(",")) if runs else (),
            seeds=seeds,
            jobs=jobs,
            output=output,
            dry_run=dry_run,
            report_only=report_only,
            as_json=as_json,
        )
    )


for _name in GRIDS:
    app.command(_name, epilog=EXAMPLES.format(name=_name))(_grid(_name))
app.command("few-shot", epilog=study_few_shot.EXAMPLES)(study_few_shot.few_shot)
app.command("inside", epilog=study_inside.EXAMPLES)(study_inside.inside)
app.command("listening", epilog=study_listening.EXAMPLES)(study_listening.listening)
app.command("grid", epilog=EXAMPLES.format(name="grid my-study.yaml"))(grid)
