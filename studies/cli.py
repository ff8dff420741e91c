"""The studies' command line: ``python -m studies NAME``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from save_avs.cli._console import make_app, print_block, print_info, print_line
from save_avs.cli._exit import run_app
from save_avs.errors import DataError, UsageError
from studies.composed_benchmarks.command import compose

if TYPE_CHECKING:
    from studies.report import StudyReport

STUDIES = Path("runs/studies")
PROGRAM = "python -m studies"
RESUME = "Run the same command again to resume."
HELP = """Run experiments on the paper's open questions; each writes a report with statistics.

\b
Examples:
  python -m studies adapters --dry-run
  python -m studies adapters --report-only
  python -m studies audio-sensitivity save-small
"""
GRIDS = {
    "starting-point": "Score the frozen base model without sound, with SAM's own prompts.",
    "adapters": "Compare each adapter, each part of the audio path, and SAMA-AVS's audio path.",
    "compression": "Compare the image adapters' reduction ratios and spatial branches.",
    "resolution": "Compare image sizes: quality by size of the sounding object, time, memory.",
    "backbones": "Compare audio backbones trained on the same sounds.",
    "batch-units": "Compare steps of single frames with steps of whole clips, on MS3.",
    "initialization": "Compare how the weights of untrained adapters are drawn.",
}
_GRID_EXAMPLES = {  # options of the second example; the first is a dry run
    "starting-point": "--report-only",
    "adapters": "--runs none,both --seeds 1",
    "compression": "--runs full,depthwise",
    "resolution": "--jobs 2",
    "backbones": "--jobs 2 --runs compact,yamnet",
    "batch-units": "--jobs 2",
    "initialization": "--report-only",
}
PRINTED = ("quality", "cost")  # tables of a grid that are printed; the report has all

Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Overrides of the recipe, for every run.")
]
RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", metavar="FILE", help="Recipe to use instead of the study's.")
]
Only = Annotated[
    str | None,
    typer.Option("--runs", metavar="A,B", help="Run only these variants, or runs such as A-seed0."),
]
Seeds = Annotated[
    int | None, typer.Option("--seeds", min=1, help="Number of runs per variant.", show_default="as declared")
]
Jobs = Annotated[
    int, typer.Option("--jobs", min=1, help="Runs in parallel, each with its share of the cores.")
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", show_default=f"{STUDIES}/NAME", help="Output folder."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the runs and their expected time, then exit.")]
ReportOnly = Annotated[bool, typer.Option("--report-only", help="Report the finished runs, then exit.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing report.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Device that runs the model.")]
Precision = Annotated[
    str, typer.Option("--precision", metavar="auto|fp32|bf16", help="Numeric precision of the model.")
]
Corpus = Annotated[
    Path, typer.Option("--corpus", metavar="DIR", help="Corpus from which scenes are composed.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Random seed.")]


def print_report(report: StudyReport, folder: Path, tables: Container[str] | None = None) -> None:
    """Print the tables of a report, all or those with some names, and the path of the report."""
    for table in report.tables:
        if tables is None or table.name in tables:
            print_block(f"{table.title}\n\n{table.markdown()}\n\n")
    print_line(f"report: {folder / 'report.md'}")


def grid(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Declaration of a study (YAML).")],
    overrides: Overrides = None,
    recipe: RecipeFile = None,
    runs: Only = None,
    seeds: Seeds = None,
    jobs: Jobs = 1,
    output: Output = None,
    dry_run: DryRun = False,
    report_only: ReportOnly = False,
) -> int:
    """Run a grid study declared in a YAML file, such as those in studies/declarations.

    \b
    Examples:
      python -m studies grid my-study.yaml --dry-run
      python -m studies grid my-study.yaml --jobs 2
    """
    from studies.grid import GridStudy

    if dry_run and report_only:
        raise UsageError("--dry-run and --report-only cannot be combined: use one of them")
    study = GridStudy(file, output, recipe=recipe, overrides=overrides or (), seeds=seeds)
    only = runs.split(",") if runs else ()
    if dry_run:
        print_block(study.plan(only))
        return 0
    outcome = study.run(only, jobs=jobs, report_only=report_only, log=print_info)
    print_report(outcome.report, outcome.folder, PRINTED)
    for name, problem in outcome.failed.items():
        print_line(f"{name} failed: {problem}", err=True)
    return DataError.exit_code if outcome.failed else 0


def _declared(name: str) -> Callable[..., int]:
    """Return the command of a declared study."""

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

    command.__doc__ = f"""{GRIDS[name]}

    \b
    Examples:
      {PROGRAM} {name} --dry-run
      {PROGRAM} {name} {_GRID_EXAMPLES[name]}
    """
    return command


def audio_sensitivity(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME|PATH", help="Models to compare.", show_default="save-small"),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            "--data", metavar="scenes|NAME", help="Composed scenes, or a dataset: s4, ms3, v2, avss, ..."
        ),
    ] = "scenes",
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", help="Folder that contains the dataset.")
    ] = None,
    split: Annotated[str, typer.Option("--split", metavar="train|val|test", help="Split to use.")] = "test",
    corpus: Corpus = Path("sample"),
    scenes: Annotated[int, typer.Option("--scenes", min=2, help="Number of scenes of each kind.")] = 100,
    seed: Seed = 2024,
    output: Output = None,
    overwrite: Overwrite = False,
    precision: Precision = "auto",
    device: Device = "auto",
) -> int:
    """Measure whether a model follows the sound: frames with their own, wrong, shifted and mixed sounds.

    \b
    Examples:
      python -m studies audio-sensitivity save-small
      python -m studies audio-sensitivity runs/s4/model --data s4 --root data/avsbench
    """
    from save_avs.datasets import open_dataset
    from save_avs.runtimes import load_model
    from save_avs.synthesis.corpus import Corpus as SceneCorpus
    from save_avs.synthesis.corpus import parse_split
    from studies.audio_sensitivity import clip_trials, run_audio_sensitivity, scene_trials
    from studies.environment import describe_environment

    if data != "scenes" and root is None:
        raise UsageError(f"--data {data} requires --root DIR, the folder that contains the dataset")
    loaded = {m: load_model(m, device=device, precision=precision) for m in models or ["save-small"]}
    frontends = {model.frontend for model in loaded.values()}
    if len(frontends) > 1:
        raise UsageError(
            "models with different audio front-ends cannot be compared: run the study for each of them"
        )
    frontend = frontends.pop()
    if root is not None:
        clips = open_dataset(data, root, split)
        source = f"{data}, split {split}, {len(clips)} clips"
        trials = clip_trials(clips.with_frontend(frontend), seed=seed)
    else:
        source = f"scenes of {corpus}, split {split}, {scenes} of each kind"
        scene_corpus = SceneCorpus.load(corpus, parse_split(split))
        side = max(model.image_size for model in loaded.values())
        trials = scene_trials(scene_corpus, scenes=scenes, seed=seed, side=side, frontend=frontend)
    precisions = ", ".join(f"{name} {model.precision}" for name, model in loaded.items())
    report = run_audio_sensitivity(
        loaded,
        trials,
        setting=describe_environment(data=source, seed=seed, precision=precisions),
        seed=seed,
        progress=lambda done: print_info(f"{done} frames") if done % 50 == 0 else None,
    )
    folder = report.save(output or STUDIES / "audio-sensitivity", overwrite=overwrite)
    print_report(report, folder)
    return 0


def interpretability(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="Video with sound.")],
    model: Annotated[
        str, typer.Option("--model", metavar="NAME|PATH", help="Model to examine.")
    ] = "save-small",
    times: Annotated[
        list[float] | None,
        typer.Option(
            "--at", metavar="SECONDS", help="Time of a frame to show; repeatable.", show_default="four frames"
        ),
    ] = None,
    corpus: Corpus = Path("sample"),
    scenes: Annotated[int, typer.Option("--scenes", min=2, help="Number of scenes for the ablations.")] = 60,
    seed: Seed = 2024,
    output: Output = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> int:
    """Show a model's adapters, injections and prompt attention as images, and test them by ablation.

    \b
    Examples:
      python -m studies interpretability clip.mp4
      python -m studies interpretability clip.mp4 --model runs/s4/model --at 1.5 --at 4
    """
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
        progress=lambda done: print_info(f"{done}/{scenes} scenes"),
    )
    folder = report.save(output or STUDIES / f"interpretability-{clip.stem}", overwrite=overwrite)
    print_report(report, folder)
    return 0


def few_shot(
    model: Annotated[
        str, typer.Argument(metavar="[NAME|PATH]", help="SAVE model trained on the seen classes.")
    ] = "save-small",
    data: Annotated[
        str, typer.Option("--data", metavar="scenes|v3", help="Composed scenes, or AVSBench V3.")
    ] = "scenes",
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", help="The corpus, or the folder that contains V3.")
    ] = None,
    shots: Annotated[
        str, typer.Option("--shots", metavar="K,K", help="Examples per class; V3 has 0, 1, 3 and 5.")
    ] = "0,1,3,5",
    episodes: Annotated[
        int, typer.Option("--episodes", min=2, help="With --data scenes: number of episodes.")
    ] = 16,
    ways: Annotated[int, typer.Option("--ways", min=1, help="With --data scenes: classes per episode.")] = 5,
    seed: Seed = 0,
    output: Output = None,
    precision: Precision = "auto",
    device: Device = "auto",
) -> int:
    """Compare SAVE, GAVS's prompt, ProtoNet and RelationNet on unseen classes, with no or a few examples.

    \b
    Examples:
      python -m studies few-shot save-small
      python -m studies few-shot runs/v3/model --data v3 --root data/avsbench --shots 0,1,5
    """
    from studies.few_shot import FewShotConfig, run_few_shot

    if data not in {"scenes", "v3"}:
        raise UsageError(f"unknown data '{data}': choose scenes or v3")
    if data == "v3" and root is None:
        raise UsageError("--data v3 requires --root DIR, the folder that contains AVSBench")
    if not all(part.strip().isdecimal() for part in shots.split(",")):
        raise UsageError(f"--shots {shots}: give numbers separated by commas, such as 0,1,3,5")
    numbers = tuple(sorted({int(part) for part in shots.split(",")}))
    config = FewShotConfig(shots=numbers, episodes=episodes, ways=ways, seed=seed)
    folder = output or STUDIES / "few-shot"
    root = root or Path("corpora/tuxpaint")
    report = run_few_shot(
        model, data, root, config, folder, precision=precision, device=device, log=print_info
    )
    print_report(report, report.save(folder / "report", overwrite=True))  # recomputed from the saved trials
    return 0


app = make_app(
    HELP,
    {
        **{name: _declared(name) for name in GRIDS},
        "grid": grid,
        "audio-sensitivity": audio_sensitivity,
        "interpretability": interpretability,
        "few-shot": few_shot,
        "compose": compose,
    },
    name="studies",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code, as ``save-avs`` has them."""
    return run_app(app, sys.argv[1:] if argv is None else argv, name=PROGRAM, after_stop=RESUME)
