"""`save-avs eval`: metrics of models with intervals, on a dataset of clips or on composed scenes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from save_avs._text import json_document
from save_avs.cli._console import plural, print_block, print_info, print_line
from save_avs.cli._options import (
    AsJson,
    Device,
    DryRun,
    Overwrite,
    Precision,
    complete_models,
    reject_options,
)
from save_avs.errors import DataError, UsageError

if TYPE_CHECKING:
    from save_avs.datasets import AVDataset
    from save_avs.evaluation.comparison import Comparison
    from save_avs.evaluation.report import BenchmarkReport

SCENES = "scenes"
DEFAULT_CORPUS, DEFAULT_SCENES, SCENES_SEED = Path("corpora/tuxpaint"), 600, 2024


@dataclass(frozen=True, kw_only=True)
class _Request:
    """The options of `save-avs eval`."""

    models: list[str]
    data: str
    root: Path | None
    split: str
    protocols: list[str] | None
    size: int | None
    output: Path | None
    overwrite: bool
    skip_broken: bool
    batch: int
    as_json: bool
    seed: int | None
    corpus: Path | None
    scenes: int | None
    precision: str
    device: str
    dry_run: bool


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME|PATH",
            help="Bundled models or models' folders; the others are compared with the first.",
            autocompletion=complete_models,
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="NAME",
            help="Dataset: s4, ms3, v1s, v1m, v2, avss, v3-0, v3-1, v3-3, v3-5, synthetic, folder, scenes.",
        ),
    ] = SCENES,
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", help="Folder that contains the dataset.")
    ] = None,
    split: Annotated[
        str, typer.Option("--split", metavar="train|val|test", help="Split to evaluate on.")
    ] = "test",
    protocols: Annotated[
        list[str] | None,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="Protocol, of official, official-batch4, dataset, sama, gavs, cavp; repeatable.",
            show_default="official, official-batch4, dataset",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--size", min=1, metavar="PX", help="Size at which the protocol `dataset` compares masks."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            show_default="a new folder in runs/eval",
            help="Folder for report.json, report.md and examples.png.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave broken clips out and list them; exit code 3.")
    ] = False,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Frames per batch.")] = 16,
    as_json: AsJson = False,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Seed of the intervals, the tests and the scenes.")
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", metavar="DIR", help="Corpus from which scenes are composed."),
    ] = None,
    scenes: Annotated[int | None, typer.Option("--scenes", min=1, help="Number of scenes.")] = None,
    precision: Precision = "auto",
    device: Device = "auto",
    dry_run: DryRun = False,
) -> int:
    """Evaluate models: how well their masks fit, on a dataset of clips or on composed scenes.

    \b
    Examples:
      save-avs eval save-tiny --data s4 --root AVSBench --split test
      save-avs eval runs/s4/model --data ms3 --root AVSBench --protocol official --protocol cavp
      save-avs eval save-tiny runs/s4/model --data s4 --root AVSBench --json
      save-avs eval save-tiny --data scenes --corpus sample
    """
    request = _Request(**locals())
    if data == SCENES:
        only_clips = {"--root": root, "--protocol": protocols, "--size": size, "--skip-broken": skip_broken}
        reject_options({**only_clips, "--json": as_json}, "datasets of clips")
        return _evaluate_on_scenes(request)
    reject_options({"--corpus": corpus, "--scenes": scenes}, "--data scenes")
    if root is None:
        raise UsageError(f"--data {data} requires --root DIR, the folder containing the dataset")
    return _evaluate_on_clips(request, root)


def _evaluate_on_scenes(request: _Request) -> int:
    from save_avs._files import atomic_folder
    from save_avs.cli._models import load_and_announce
    from save_avs.cli._output_dirs import default_eval_dir, resolve_output_dir
    from save_avs.cli._progress import print_count
    from save_avs.evaluation.scenes import evaluate_scenes
    from save_avs.synthesis.corpus import Corpus, parse_split

    if len(request.models) > 1:
        raise UsageError("Models are compared on datasets of clips: give one model, or another --data")
    name, split = request.models[0], parse_split(request.split)
    count = request.scenes or DEFAULT_SCENES
    seed = SCENES_SEED if request.seed is None else request.seed
    default = default_eval_dir(request.models, SCENES, split)
    folder = resolve_output_dir(request.output, default, overwrite=request.overwrite)
    source = request.corpus or DEFAULT_CORPUS
    corpus = Corpus.load(source, split)
    if request.dry_run:
        print_line(f"would evaluate {name} on {plural(count, 'scene')} of {source} {split} -> {folder}")
        return 0
    model = load_and_announce(name, device=request.device, precision=request.precision)
    report = evaluate_scenes(
        model, corpus, scenes=count, seed=seed, progress=lambda done: print_count("scenes", done, count)
    )
    settings = {
        "model": model.name,
        "data": SCENES,
        "split": split,
        "seed": seed,
        "precision": model.precision,
    }
    with atomic_folder(folder, overwrite=request.overwrite) as part:
        report.save(part, settings)
    print_block(report.table(settings))
    print_line(f"report: {folder}")
    return 0


def _evaluate_on_clips(request: _Request, root: Path) -> int:
    """Score every model, compare the others with the first, write and print the reports."""
    from save_avs.cli._output_dirs import default_eval_dir, resolve_output_dir, unique_names
    from save_avs.datasets import open_dataset
    from save_avs.evaluation.benchmark import DEFAULT_PROTOCOLS
    from save_avs.evaluation.comparison import compare
    from save_avs.metrics.protocols import get_protocols
    from save_avs.runtimes.loading import find_model_folder

    protocols = request.protocols or list(DEFAULT_PROTOCOLS)
    get_protocols(protocols, request.size)
    for model in request.models:
        find_model_folder(model)
    clips = open_dataset(request.data, root, request.split)
    default = default_eval_dir(request.models, request.data, request.split)
    folder = resolve_output_dir(request.output, default, overwrite=request.overwrite)
    if request.dry_run:
        _print_plan(request, len(clips), folder)
        return 0
    reports = {
        name: _score(name, model, clips, protocols, request)
        for name, model in unique_names(request.models).items()
    }
    (first, reference), *others = reports.items()
    comparisons = [compare(reference, report, names=(first, name)) for name, report in others]
    _save(folder, reports, comparisons, overwrite=request.overwrite)
    _print(folder, reports, comparisons, as_json=request.as_json)
    return DataError.exit_code if any(report.info.skipped for report in reports.values()) else 0


def _print_plan(request: _Request, count: int, folder: Path) -> None:
    plan = {"models": request.models, "data": request.data, "split": request.split, "clips": count}
    if request.as_json:
        print_block(json_document({**plan, "folder": str(folder)}))
    else:
        on = f"{plural(count, 'clip')} of {request.data} {request.split}"
        print_line(f"would evaluate {', '.join(request.models)} on {on} -> {folder}")


def _score(
    name: str, model: str, clips: AVDataset, protocols: list[str], request: _Request
) -> BenchmarkReport:
    from save_avs.cli._models import load_and_announce
    from save_avs.cli._progress import VideoProgress
    from save_avs.evaluation.benchmark import evaluate_clips

    network = load_and_announce(model, device=request.device, precision=request.precision)
    with VideoProgress(f"{name} on {request.data}") as progress:
        report = evaluate_clips(
            network,
            clips,
            protocols,
            size=request.size,
            batch_size=request.batch,
            seed=request.seed or 0,
            broken="skip" if request.skip_broken else "stop",
            progress=progress.update,
        )
        for reason in report.info.skipped:
            progress.warn(f"left out: {reason}")
    info = report.info
    speed = info.frames / max(info.seconds, 1e-9)
    print_info(f"{plural(info.frames, 'frame')} in {info.seconds:.1f} s, {speed:.1f} fps")
    return report


def _save(
    folder: Path, reports: dict[str, BenchmarkReport], comparisons: list[Comparison], *, overwrite: bool
) -> None:
    from save_avs._files import atomic_folder, atomic_write

    with atomic_folder(folder, overwrite=overwrite) as part:
        for name, report in reports.items():
            report.save(part / name if len(reports) > 1 else part)
        if comparisons:
            document = json_document({"comparisons": [comparison.as_json() for comparison in comparisons]})
            atomic_write(part / "comparison.json", document)
            tables = "\n".join(comparison.table() for comparison in comparisons)
            atomic_write(part / "comparison.md", tables)


def _print(
    folder: Path, reports: dict[str, BenchmarkReport], comparisons: list[Comparison], *, as_json: bool
) -> None:
    if as_json:
        document = {
            "folder": str(folder),
            "reports": {name: report.as_json() for name, report in reports.items()},
            "comparisons": [comparison.as_json() for comparison in comparisons],
        }
        print_block(json_document(document))
        return
    for part in (*reports.values(), *comparisons):
        print_block(part.table())
    print_line(f"report: {folder}")
