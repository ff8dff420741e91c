"""`save-avs segment --engine`: very many clips into tables."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from save_avs.cli._console import print_block, print_line
from save_avs.cli._models import resolve_model
from save_avs.cli._progress import PLAIN_EVERY, ProgressDisplay, format_duration, stderr_progress
from save_avs.errors import MediaError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from save_avs.batch.messages import Failed, Kit, Outcome
    from save_avs.batch.output import BulkFolder
    from save_avs.batch.run import Plan
    from save_avs.inference.settings import SegmentationSettings

DEFAULT_DIRECTORY = Path("runs/bulk")
_SAVED = ("masks", "overlay")


@dataclass(frozen=True, kw_only=True)
class Order:
    """How a bulk run is carried out and shown.

    Attributes:
        engine: name of the engine.
        workers: processes or actors, None for one a processor.
        price: of an hour, in whatever money; None where it does not matter.
        retry_failed: try those again that could not be done.
        as_json, dry_run: as every command has them.
    """

    engine: str
    workers: int | None
    price: float | None
    retry_failed: bool
    as_json: bool
    dry_run: bool


def segment_bulk(
    inputs: Sequence[str], manifest: Path | None, directory: Path | None, kit: Kit, order: Order
) -> int:
    """Segment an archive into tables, going on with what is there; returns the exit code."""
    from save_avs.batch.manifest import find_entries
    from save_avs.batch.output import BulkFolder
    from save_avs.batch.run import ENGINES, plan_run, request_of

    if order.engine not in ENGINES:
        raise UsageError(f"no engine '{order.engine}': choose {' or '.join(ENGINES)}")
    workers = order.workers if order.workers is not None else len(os.sched_getaffinity(0))
    if workers < 1:
        raise UsageError(f"--workers must be 1 or more, not {workers}")
    entries = find_entries(inputs, manifest)
    folder = BulkFolder(directory or DEFAULT_DIRECTORY)
    request = request_of(kit)
    if order.dry_run:
        folder.check(request)
        plan = plan_run(entries, folder, retry_failed=order.retry_failed)
        return _say_plan(plan, folder, kit, order, workers)
    return _run(entries, folder, request, kit, order, workers)


def kit_of(
    model: str,
    folder: Path | None,
    settings: SegmentationSettings,
    *,
    device: str,
    precision: str,
    runtime: str,
) -> Kit:
    """What the workers need, of the options of the command.

    Raises:
        UsageError: an output that tables have no place for, or no such model.
    """
    from save_avs.batch.messages import Kit
    from save_avs.batch.output import OVERLAYS

    if other := [name for name in settings.outputs if name not in _SAVED]:
        raise UsageError(f"--engine writes tables of masks: --save {other[0]} is not for it, only overlay is")
    overlays = (folder or DEFAULT_DIRECTORY).absolute() / OVERLAYS
    return Kit(
        model=str(resolve_model(model)),
        device=device,
        precision=precision,
        runtime=runtime,
        fps=settings.fps,
        threshold=settings.threshold,
        overlays=str(overlays) if "overlay" in settings.outputs else None,
    )


def _run(
    entries: Sequence[Any], folder: BulkFolder, request: Any, kit: Kit, order: Order, workers: int
) -> int:
    from save_avs.batch.messages import Failed
    from save_avs.batch.run import carry_out, plan_run

    failed: list[Failed] = []
    with folder.opened(request) as results:
        plan = plan_run(entries, folder, retry_failed=order.retry_failed)
        failed += plan.failed
        with BulkBar(len(plan.todo), order.price) as shown:
            if plan.done or plan.failed:
                shown.print_info(
                    f"{plan.done} done before, {len(plan.failed)} failed; {len(plan.todo)} to do"
                )
            for outcome in carry_out(plan, folder, results, kit, engine=order.engine, workers=workers):
                shown.update(outcome)
                if isinstance(outcome, Failed):
                    failed.append(outcome)
    report = {
        "version": 1,
        "directory": str(folder.path),
        "clips": len(entries),
        "kept": plan.done,
        "done": len(entries) - len(failed),
        **shown.figures(),
        "failed": [{"path": clip.name, "status": clip.status, "reason": clip.reason} for clip in failed],
    }
    print_block(json.dumps(report, indent=2)) if order.as_json else print_line(_line(report))
    return MediaError.exit_code if failed else 0


def _line(report: dict[str, Any]) -> str:
    cost = f", cost {report['cost']:.2f}" if report["cost"] is not None else ""
    failed = f", {len(report['failed'])} failed (failed.parquet)" if report["failed"] else ""
    return (
        f"{report['directory']}: {report['done']} of {report['clips']} clips done{failed}; "
        f"{format_duration(report['seconds'])}, {report['clips_per_second']:.2f} clips/s{cost}"
    )


def _say_plan(plan: Plan, folder: BulkFolder, kit: Kit, order: Order, workers: int) -> int:
    from save_avs.batch.run import measure

    rate = measure(plan, kit, engine=order.engine, workers=workers) if plan.todo else 0.0
    seconds = None if rate is None else rate * len(plan.todo)
    cost = _cost(seconds, order.price)
    said = {
        "version": 1,
        "directory": str(folder.path),
        "todo": len(plan.todo),
        "done": plan.done,
        "failed": len(plan.failed),
        "workers": workers,
        "seconds": seconds,
        "cost": cost,
    }
    took = "nobody knows how long (no clip of a sample could be done)"
    if seconds is not None:
        took = f"about {format_duration(seconds)} with {workers} workers, from a sample"
    priced = "" if cost is None else f", cost {cost:.2f}"
    line = (
        f"{folder.path}: {len(plan.todo)} to do, {plan.done} done, {len(plan.failed)} failed; {took}{priced}"
    )
    print_block(json.dumps(said)) if order.as_json else print_line(line)
    return 0


def _cost(seconds: float | None, price: float | None) -> float | None:
    return None if seconds is None or price is None else seconds / 3600 * price


class BulkBar(ProgressDisplay):
    """Shows how far an archive is: clips, those that failed, speed, time left, and what it costs."""

    def __init__(self, clips: int, price: float | None) -> None:
        self._clips, self._price = clips, price
        self._ended = self._failed = 0
        self._start = self._said_at = time.monotonic()

    def update(self, outcome: Outcome) -> None:
        """Count a clip."""
        from save_avs.batch.messages import Failed

        self._ended += 1
        if isinstance(outcome, Failed):
            self._failed += 1
            self.print_line(f"failed: {outcome.reason}")
        if self._bar is not None:
            self._bar.update(self._task, completed=self._ended, detail=self._detail())
        elif time.monotonic() - self._said_at >= PLAIN_EVERY:
            self._said_at = time.monotonic()
            self.print_info(f"{self._ended}/{self._clips} clips, {self._detail()}")

    def figures(self) -> dict[str, float | None]:
        """Seconds, clips a second and cost by now."""
        seconds = time.monotonic() - self._start
        return {
            "seconds": seconds,
            "clips_per_second": self._ended / max(seconds, 1e-9),
            "cost": _cost(seconds, self._price),
        }

    def _detail(self) -> str:
        seconds = time.monotonic() - self._start
        left = seconds / self._ended * (self._clips - self._ended)
        cost = _cost(seconds + left, self._price)
        priced = "" if cost is None else f", cost {cost:.2f} in all"
        return f"{self._failed} failed, {self._ended / seconds:.2f} clips/s, {format_duration(left)} left{priced}"

    def _make(self) -> Any:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

        bar = stderr_progress(
            TextColumn("clips"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[detail]}")
        )
        self._task = bar.add_task("clips", total=self._clips, detail="loading the model")
        return bar
