"""`save-avs study few-shot`: unseen classes after a few examples, by SAVE and by few-shot methods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from save_avs.cli._console import print_line
from save_avs.cli._options import AsJson, Device, DryRun, Precision
from save_avs.errors import UsageError

if TYPE_CHECKING:
    from studies.few_shot.settings import Settings
    from studies.report import StudyReport

EXAMPLES = """Examples:

\b
  save-avs data tuxpaint corpora/tuxpaint
  save-avs study few-shot
  save-avs study few-shot --shots 0,1,5 --episodes 40 --seed 1 -o runs/studies/more-episodes

\b
  save-avs study few-shot runs/v3-zero-shot/train/model --data v3 --root AVSBench

\b
Run the same command again to go on where it stopped.
"""

FOLDER = Path("runs/studies")
CORPUS = Path("corpora/tuxpaint")
EPISODES, WAYS = 16, 5
REPORT = "report"
SCENES, V3 = "scenes", "v3"


def few_shot(
    model: Annotated[
        str, typer.Argument(metavar="[NAME|PATH]", help="A SAVE that was trained on the seen classes.")
    ] = "save-tiny",
    data: Annotated[
        str, typer.Option("--data", metavar="scenes|v3", help="Composed scenes, or AVSBench V3.")
    ] = SCENES,
    root: Annotated[
        Path | None,
        typer.Option(
            "--root", metavar="DIR", show_default=f"{CORPUS} for scenes", help="The corpus, or where V3 lies."
        ),
    ] = None,
    shots: Annotated[
        str, typer.Option("--shots", metavar="K,K", help="Examples a class; V3 has tables for 0, 1, 3, 5.")
    ] = "0,1,3,5",
    episodes: Annotated[
        int | None,
        typer.Option("--episodes", min=2, show_default=str(EPISODES), help="scenes: how many to draw."),
    ] = None,
    ways: Annotated[
        int | None,
        typer.Option("--ways", min=1, show_default=str(WAYS), help="scenes: classes an episode has."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything that is drawn.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            show_default="runs/studies/few-shot",
            help="The study's folder.",
        ),
    ] = None,
    as_json: AsJson = False,
    precision: Precision = "auto",
    device: Device = "auto",
    dry_run: DryRun = False,
) -> int:
    """Unseen classes after none or a few examples: SAVE, GAVS's prompt, ProtoNet, RelationNet."""
    if data not in {SCENES, V3}:
        raise UsageError(f"unknown data '{data}': choose {SCENES} or {V3}")
    if data == V3 and (episodes is not None or ways is not None):
        raise UsageError("V3's tables fix examples and tests: leave --episodes and --ways out")
    if data == V3 and root is None:
        raise UsageError("--data v3 needs --root DIR: where AVSBench lies")
    from studies.cli.study_report import print_report
    from studies.few_shot.settings import Settings

    settings = Settings(shots=_numbers(shots), episodes=episodes or EPISODES, ways=ways or WAYS, seed=seed)
    about = {"model": model, "data": data, "root": str(root or CORPUS), **settings.as_json()}
    folder = output or FOLDER / "few-shot"
    if dry_run:
        asked = f"{settings.episodes} episodes" if data == SCENES else "V3's tables"
        print_line(f"would ask {model} and its rivals in {asked} at {shots} shots of {data} -> {folder}")
        return 0
    report = _study(about, settings, folder, precision=precision, device=device)
    report.save(folder / REPORT, overwrite=True)  # made of the trials alone, which stay
    print_report(report, folder / REPORT, as_json=as_json)
    return 0


def _numbers(shots: str) -> tuple[int, ...]:
    """``0,1,3,5`` to ascending numbers, each once.

    Raises:
        UsageError: when it is something else.
    """
    parts = shots.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise UsageError(f"--shots {shots}: give numbers of examples with commas between, as 0,1,3,5")
    return tuple(sorted({int(part) for part in parts}))


def _study(
    about: dict[str, Any], settings: Settings, folder: Path, *, precision: str, device: str
) -> StudyReport:
    from save_avs.models.precision import resolve_precision
    from save_avs.runtimes import load_model
    from save_avs.runtimes.loading import find_model_folder
    from studies.few_shot.findings import Findings
    from studies.few_shot.run import claim, run_study
    from studies.few_shot.summary import summarize
    from studies.few_shot.trials import from_scenes, from_v3

    find_model_folder(about["model"])
    claim(folder, about)
    save = load_model(about["model"], device=device, precision="fp32").requires_grad_(False)  # it will learn
    save.precision = resolve_precision(precision, save.device)
    _say(f"model {save.name} on {save.device}, {save.precision}")
    read = from_scenes if about["data"] == SCENES else from_v3
    trials = run_study(save, read(save, about["root"], settings), settings, folder, said=_say)
    return summarize(Findings(trials, settings.seed), data=about["data"], setting=_setting(about, save))


def _setting(about: dict[str, Any], save: Any) -> dict[str, str]:
    from studies.budget import machine

    budget = {key.replace("_", " "): str(value) for key, value in about.items()}
    return {**budget, "computed in": f"{save.precision} on {save.device}", "machine": machine()}


def _say(line: str) -> None:
    print_line(line, err=True)
