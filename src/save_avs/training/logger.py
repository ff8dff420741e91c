"""Logging of a stage: JSON lines files, and events for the callbacks."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from save_avs._files import atomic_write
from save_avs.training.callbacks.callback import Callback, StepStats, ValidationImage

METRICS, BAD_SAMPLES = "metrics.jsonl", "bad_samples.jsonl"
LOG_EVERY = 50  # steps


class JsonLinesFile:
    """Rows appended to a .jsonl file; a resumed run takes back those written after its checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    def append(self, row: Mapping[str, Any]) -> None:
        """Append a row."""
        with self.path.open("a") as file:
            file.write(json.dumps({k: _rounded(v) for k, v in row.items()}) + "\n")
        self.count += 1

    def rows(self) -> list[dict[str, Any]]:
        """Return all rows, except for one that was cut short."""
        rows = []
        for line in self.path.read_text().splitlines() if self.path.exists() else []:
            with suppress(json.JSONDecodeError):
                rows.append(json.loads(line))
        return rows

    def truncate(self, count: int) -> None:
        """Keep the first rows only."""
        self.count = count
        if self.path.exists():
            atomic_write(self.path, "".join(json.dumps(row) + "\n" for row in self.rows()[:count]))


def _rounded(value: Any) -> Any:
    """Round to six decimals, or small numbers to six digits: a learning rate may be tiny."""
    if not isinstance(value, float):
        return value
    return round(value, 6) if abs(value) >= 0.01 else float(f"{value:.6g}")


class MetricLogger:
    """The files and callbacks of a stage; only the main process has any."""

    def __init__(
        self, folder: Path, stage: str, steps: int, callbacks: Sequence[Callback], *, is_main: bool
    ) -> None:
        self.stage, self.steps, self.is_main = stage, steps, is_main
        self.callbacks = callbacks if is_main else ()
        self.metrics, self.bad_samples = JsonLinesFile(folder / METRICS), JsonLinesFile(folder / BAD_SAMPLES)
        self._window: list[dict[str, float]] = []  # loss terms since the last row
        self._skipped = 0

    def begin_stage(self, step: int, state: dict[str, Any] | None) -> None:
        """Start the stage, or resume it after ``step`` steps with the state of a checkpoint.

        Rows written after that checkpoint are dropped: they will be written again.
        """
        self._window, self._skipped = state["window"] if state else ([], 0)
        if self.is_main:
            self.metrics.truncate(state["metrics"] if state else 0)
            self.bad_samples.truncate(state["bad_samples"] if state else 0)
        for callback in self.callbacks:
            callback.on_stage_begin(self.stage, step, self.steps)

    def end_stage(self) -> None:
        """End the stage, finished or not."""
        for callback in self.callbacks:
            callback.on_stage_end()

    def message(self, text: str) -> None:
        """Report a line."""
        for callback in self.callbacks:
            callback.on_message(f"{self.stage}: {text}")

    def log_images(self, step: int, images: Sequence[ValidationImage]) -> None:
        """Report the first frames of a validation."""
        for callback in self.callbacks:
            callback.on_images(step, images)

    def log(self, row: Mapping[str, float]) -> None:
        """Write a row of metrics.jsonl."""
        if self.is_main:
            self.metrics.append(row)
        for callback in self.callbacks:
            callback.on_log(row)

    def log_step(self, stats: StepStats, terms: dict[str, float] | None) -> None:
        """Report a step with its loss terms, None for a skipped one; log their means every `LOG_EVERY`."""
        if terms is None:
            self._skipped += 1
        else:
            self._window.append(terms)
        for callback in self.callbacks:
            callback.on_step_end(stats)
        if stats.step % LOG_EVERY == 0 or stats.step == stats.steps:
            self._log_means(stats)

    def _log_means(self, stats: StepStats) -> None:
        names = self._window[0] if self._window else ()
        means = {n: sum(row[n] for row in self._window) / len(self._window) for n in names}
        skipped = {"skipped": self._skipped} if self._skipped else {}
        self._window, self._skipped = [], 0
        machine = {
            "frames_per_s": stats.frames_per_s,
            "data_wait": stats.data_wait,
            "memory_gb": stats.memory / 1e9,
        }
        self.log({"step": stats.step, **means, "lr": stats.lr, **machine, **skipped})

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "window": (self._window, self._skipped),
            "metrics": self.metrics.count,
            "bad_samples": self.bad_samples.count,
        }
