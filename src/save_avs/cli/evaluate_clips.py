"""`save-avs eval --data s4 ...`: models on a data set of clips, one after the other, and compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from save_avs._files import atomic_folder, atomic_write
from save_avs._text import json_document
from save_avs.cli._console import print_block, print_info, print_line
from save_avs.cli._models import load_and_announce
from save_avs.cli._output_dirs import default_eval_dir, resolve_output_dir, unique_names
from save_avs.cli._progress import VideoProgress
from save_avs.datasets import AVDataset, open_dataset
from save_avs.errors import DataError
from save_avs.evaluation import DEFAULT_PROTOCOLS, BenchmarkReport, Comparison, compare, evaluate_clips
from save_avs.metrics.protocols import get_protocols
from save_avs.runtimes.loading import find_model_folder


@dataclass(frozen=True)
class Request:
    """What the command line asks for; see the options of `save-avs eval`."""

    models: list[str]
    data: str
    root: Path
    split: str
    protocols: list[str] | None
    size: int | None
    batch: int
    seed: int
    skip_broken: bool
    output: Path | None
    overwrite: bool
    as_json: bool
    precision: str
    device: str
    dry_run: bool


def evaluate_on_clips(request: Request) -> int:
    """Score every model, compare each further one with the first, write and print the reports."""
    protocols = request.protocols or list(DEFAULT_PROTOCOLS)
    get_protocols(protocols, request.size)
    for model in request.models:
        find_model_folder(model)
    clips = open_dataset(request.data, request.root, request.split)
    default = default_eval_dir(request.models, request.data, request.split)
    folder = resolve_output_dir(request.output, default, overwrite=request.overwrite)
    if request.dry_run:
        _print_plan(request, len(clips), folder)
        return 0
    reports = {
        name: _report(name, model, clips, protocols, request)
        for name, model in unique_names(request.models).items()
    }
    comparisons = _compared(reports)
    _save(folder, reports, comparisons, overwrite=request.overwrite)
    _print(folder, reports, comparisons, as_json=request.as_json)
    return DataError.exit_code if any(r.info.skipped for r in reports.values()) else 0


def _print_plan(request: Request, count: int, folder: Path) -> None:
    plan = {"models": request.models, "data": request.data, "split": request.split, "clips": count}
    if request.as_json:
        print_block(json_document({**plan, "folder": str(folder)}))
    else:
        models = ", ".join(request.models)
        print_line(f"would evaluate {models} on {count} clips of {request.data} {request.split} -> {folder}")


def _report(
    name: str, model: str, clips: AVDataset, protocols: list[str], request: Request
) -> BenchmarkReport:
    network = load_and_announce(model, device=request.device, precision=request.precision)
    with VideoProgress(f"{name} on {request.data}") as shown:
        report = evaluate_clips(
            network,
            clips,
            protocols,
            size=request.size,
            batch_size=request.batch,
            seed=request.seed,
            broken="skip" if request.skip_broken else "stop",
            progress=shown.update,
        )
        for reason in report.info.skipped:
            shown.warn(f"left out: {reason}")
    info = report.info
    speed = info.frames / max(info.seconds, 1e-9)
    print_info(f"{info.frames} frames in {info.seconds:.1f} s, {speed:.1f} fps")
    return report


def _compared(reports: dict[str, BenchmarkReport]) -> list[Comparison]:
    (first, reference), *others = reports.items()
    return [compare(reference, report, names=(first, name)) for name, report in others]


def _save(
    folder: Path, reports: dict[str, BenchmarkReport], comparisons: list[Comparison], *, overwrite: bool
) -> None:
    with atomic_folder(folder, overwrite=overwrite) as part:
        for name, report in reports.items():
            report.save(part / name if len(reports) > 1 else part)
        if comparisons:
            atomic_write(
                part / "comparison.json", json_document({"comparisons": [c.as_json() for c in comparisons]})
            )
            atomic_write(part / "comparison.md", "\n".join(c.table() for c in comparisons))


def _print(
    folder: Path, reports: dict[str, BenchmarkReport], comparisons: list[Comparison], *, as_json: bool
) -> None:
    if as_json:
        document: dict[str, Any] = {"folder": str(folder)}
        document["reports"] = {name: report.as_json() for name, report in reports.items()}
        document["comparisons"] = [comparison.as_json() for comparison in comparisons]
        print_block(json_document(document))
        return
    for part in (*reports.values(), *comparisons):
        print_block(part.table())
    print_line(f"report: {folder}")
