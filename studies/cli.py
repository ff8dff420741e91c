"""The studies' command line: ``python -m studies NAME``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from save_avs._text import escape_control_chars, escape_lines
from save_avs.errors import DataError, SaveAvsError, UsageError

if TYPE_CHECKING:
    from studies.report import StudyReport

STUDIES = Path("runs/studies")
GRIDS = {
    "starting-point": "The frozen base without sound, with SAM's own prompts.",
    "adapters": "Each adapter, each part of the audio path, and SAMA-AVS's audio path.",
    "compression": "The image adapters' ratio and spatial branch.",
    "resolution": "Image size: quality by size of the sounding object, time, memory.",
    "backbones": "Audio backbones trained on the same sounds.",
}
PRINTED = ("quality", "cost")  # tables of a grid that are printed; the report has all
USAGE, INTERRUPTED = 2, 130
_USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]  # of the option parser

app = typer.Typer(
    name="studies",
    help="Experiments on the paper's open questions; each ends in a report with statistics.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Overrides of the recipe, in every run.")
]
RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", metavar="FILE", help="A recipe in place of the study's.")
]
Only = Annotated[
    str | None, typer.Option("--runs", metavar="A,B", help="Only these variants, or runs such as A-seed0.")
]
Seeds = Annotated[
    int | None, typer.Option("--seeds", min=1, help="Runs per variant.", show_default="as declared")
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Runs at a time, each with its share of the cores.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", show_default=f"{STUDIES}/NAME", help="Output folder."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the runs and their expected time, and stop.")]
ReportOnly = Annotated[bool, typer.Option("--report-only", help="Report the finished runs, and stop.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing report.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Device of the model.")]
Precision = Annotated[
    str, typer.Option("--precision", metavar="auto|fp32|bf16", help="Numeric precision of the model.")
]
Corpus = Annotated[Path, typer.Option("--corpus", metavar="DIR", help="Corpus that scenes are made of.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of all random draws.")]


def log(line: str) -> None:
    """Print a line about the progress on stderr."""
    typer.echo(escape_control_chars(line), err=True)


def print_report(report: StudyReport, folder: Path, tables: Container[str] | None = None) -> None:
    """Print the tables of a report, or those with some names, and where the report is."""
    for table in report.tables:
        if tables is None or table.name in tables:
            typer.echo(escape_lines(f"{table.title}\n\n{table.markdown()}\n"))
    typer.echo(escape_control_chars(f"report: {folder / 'report.md'}"))


def grid(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The declaration of a study (YAML).")],
    overrides: Overrides = None,
    recipe: RecipeFile = None,
    runs: Only = None,
    seeds: Seeds = None,
    jobs: Jobs = 1,
    output: Output = None,
    dry_run: DryRun = False,
    report_only: ReportOnly = False,
) -> int:
    """A grid of your own."""
    from studies.grid import GridStudy

    if dry_run and report_only:
        raise UsageError("--dry-run and --report-only exclude each other: give one of them.")
    study = GridStudy(file, output, recipe=recipe, overrides=overrides or (), seeds=seeds)
    only = runs.split(",") if runs else ()
    if dry_run:
        typer.echo(escape_lines(study.plan(only)))
        return 0
    outcome = study.run(only, jobs=jobs, report_only=report_only, log=log)
    print_report(outcome.report, outcome.folder, PRINTED)
    for name, problem in outcome.failed.items():
        log(f"{name} failed: {problem}")
    return DataError.exit_code if outcome.failed else 0


def _declared(name: str) -> Callable[..., int]:
    """The command of a declared study."""

    def command(
        overrides: Overrides = None,
        recipe: RecipeFile = None,
        runs: Only = None,
        seeds: Seeds = None,
        jobs: Jobs = 1,
        output: Output = None,
        dry_run: DryRun = False,
        report_only: ReportOnly = False,
    ) -> int:
        return grid(name, overrides, recipe, runs, seeds, jobs, output, dry_run, report_only)

    command.__doc__ = GRIDS[name]
    return command


def audio_sensitivity(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME|PATH", help="Models to compare.", show_default="save-tiny"),
    ] = None,
    data: Annotated[
        str, typer.Option("--data", help="scenes, or a data set: s4, ms3, v1s, v1m, v2, avss, folder, ...")
    ] = "scenes",
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", help="Folder of the data set.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="train, val or test.")] = "test",
    corpus: Corpus = Path("sample"),
    scenes: Annotated[int, typer.Option("--scenes", min=2, help="Scenes of each kind.")] = 100,
    seed: Seed = 2024,
    output: Output = None,
    overwrite: Overwrite = False,
    precision: Precision = "auto",
    device: Device = "auto",
) -> int:
    """Does a model follow the sound? Frames under their own sound and under wrong, shifted and mixed ones."""
    from save_avs.datasets import open_dataset
    from save_avs.runtimes import load_model
    from save_avs.synthesis.corpus import Corpus as SceneCorpus
    from save_avs.synthesis.corpus import parse_split
    from studies.audio_sensitivity import clip_trials, run_audio_sensitivity, scene_trials
    from studies.environment import describe_environment

    if data != "scenes" and root is None:
        raise UsageError(f"--data {data} requires --root DIR, the folder containing the data set.")
    loaded = {m: load_model(m, device=device, precision=precision) for m in models or ["save-tiny"]}
    frontends = {model.frontend for model in loaded.values()}
    if len(frontends) > 1:
        raise UsageError("These models have different audio front-ends: study them one after another.")
    frontend = frontends.pop()
    if root is not None:
        clips = open_dataset(data, root, split)
        source = f"{data}, split {split}, {len(clips)} clips"
        trials = clip_trials(clips.with_frontend(frontend), seed=seed)
    else:
        source = f"scenes of {corpus}, split {split}, {scenes} of each kind"
        things = SceneCorpus.load(corpus, parse_split(split))
        side = max(model.image_size for model in loaded.values())
        trials = scene_trials(things, scenes=scenes, seed=seed, side=side, frontend=frontend)
    precisions = ", ".join(f"{name} {model.precision}" for name, model in loaded.items())
    report = run_audio_sensitivity(
        loaded,
        trials,
        setting=describe_environment(data=source, seed=seed, precision=precisions),
        seed=seed,
        progress=lambda done: log(f"{done} frames") if done % 50 == 0 else None,
    )
    folder = report.save(output or STUDIES / "audio-sensitivity", overwrite=overwrite)
    print_report(report, folder)
    return 0


def interpretability(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A video with sound.")],
    model: Annotated[
        str, typer.Option("--model", metavar="NAME|PATH", help="Model to look into.")
    ] = "save-tiny",
    times: Annotated[
        list[float] | None,
        typer.Option("--at", metavar="SECONDS", help="Time of a frame; repeatable.", show_default="four"),
    ] = None,
    corpus: Corpus = Path("sample"),
    scenes: Annotated[int, typer.Option("--scenes", min=2, help="Scenes of the ablations.")] = 60,
    seed: Seed = 2024,
    output: Output = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> int:
    """Adapters, injections and prompt attention of a model as images, checked by ablations."""
    from save_avs.runtimes import load_model
    from save_avs.synthesis.corpus import Corpus as SceneCorpus
    from studies.environment import describe_environment
    from studies.interpretability import read_frames_at, run_interpretability

    network = load_model(model, device=device, precision="fp32")
    frames = read_frames_at(clip, times or (), network.frontend)
    setting = describe_environment(
        clip=clip.name,
        frames=", ".join(f"{frame.time:.2f} s" for frame in frames),
        model=f"{network.name}, {network.precision}",
        ablations=f"{scenes} scenes of {corpus}, split test",
        seed=seed,
    )
    report = run_interpretability(
        network,
        frames,
        SceneCorpus.load(corpus, "test"),
        scenes=scenes,
        seed=seed,
        setting=setting,
        progress=lambda done: log(f"{done}/{scenes} scenes"),
    )
    folder = report.save(output or STUDIES / f"interpretability-{clip.stem}", overwrite=overwrite)
    print_report(report, folder)
    return 0


def few_shot(
    model: Annotated[
        str, typer.Argument(metavar="[NAME|PATH]", help="A SAVE trained on the seen classes.")
    ] = "save-tiny",
    data: Annotated[
        str, typer.Option("--data", metavar="scenes|v3", help="Composed scenes, or AVSBench V3.")
    ] = "scenes",
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", help="The corpus, or the folder of V3.")
    ] = None,
    shots: Annotated[
        str, typer.Option("--shots", metavar="K,K", help="Examples per class; V3 has 0, 1, 3 and 5.")
    ] = "0,1,3,5",
    episodes: Annotated[int, typer.Option("--episodes", min=2, help="scenes: number of episodes.")] = 16,
    ways: Annotated[int, typer.Option("--ways", min=1, help="scenes: classes per episode.")] = 5,
    seed: Seed = 0,
    output: Output = None,
    precision: Precision = "auto",
    device: Device = "auto",
) -> int:
    """Unseen classes after no or a few examples: SAVE, GAVS's prompt, ProtoNet, RelationNet."""
    from studies.few_shot import FewShotConfig, run_few_shot

    if data not in {"scenes", "v3"}:
        raise UsageError(f"Unknown data '{data}'. Choose from: scenes, v3.")
    if data == "v3" and root is None:
        raise UsageError("--data v3 requires --root DIR, the folder containing AVSBench.")
    if not all(part.strip().isdecimal() for part in shots.split(",")):
        raise UsageError(f"--shots {shots}: give numbers separated by commas, such as 0,1,3,5.")
    numbers = tuple(sorted({int(part) for part in shots.split(",")}))
    config = FewShotConfig(shots=numbers, episodes=episodes, ways=ways, seed=seed)
    folder = output or STUDIES / "few-shot"
    root = root or Path("corpora/tuxpaint")
    report = run_few_shot(model, data, root, config, folder, precision=precision, device=device, log=log)
    print_report(report, report.save(folder / "report", overwrite=True))  # made from the trials, which stay
    return 0


for _name in GRIDS:
    app.command(_name)(_declared(_name))
app.command("grid")(grid)
app.command("audio-sensitivity")(audio_sensitivity)
app.command("interpretability")(interpretability)
app.command("few-shot")(few_shot)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code, which are those of ``save-avs``."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return app(arguments, prog_name="python -m studies", standalone_mode=False) or 0
    except SaveAvsError as error:
        log(f"studies: {error}")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        log("studies: Interrupted. Run the same command again to resume.")
        return INTERRUPTED
    except _USAGE_ERROR as error:
        log(f"studies: {getattr(error, 'format_message', error.__str__)()}")
        return USAGE
