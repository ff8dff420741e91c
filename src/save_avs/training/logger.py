"""What a stage tells: rows for metrics.jsonl, moments and lines for those who watch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from save_avs.training.callbacks.base import Callback, StepStats, ValidationImage
from save_avs.training.jsonl import Rows
from save_avs.training.throughput import Pace

METRICS, BAD_SAMPLES = "metrics.jsonl", "bad_samples.jsonl"
REPORT_EVERY = 50


class Journal:
    """A stage's files and watchers.

    Args:
        folder: of the stage.
        stage: its name.
        steps: how many it has.
        callbacks: see what happens.
        main: whether this process writes and speaks.
    """

    def __init__(
        self, folder: Path, stage: str, steps: int, callbacks: Sequence[Callback], *, main: bool
    ) -> None:
        self.stage, self.steps, self.main = stage, steps, main
        self.callbacks = callbacks if main else ()
        self.metrics, self.bad_samples = Rows(folder / METRICS), Rows(folder / BAD_SAMPLES)
        self._window: list[dict[str, float]] = []  # loss terms since the last row
        self._skipped = 0

    def begin(self, step: int, state: dict[str, Any] | None) -> None:
        """The stage begins, or goes on after ``step`` steps from a checkpoint's ``state``.

        What was written after that checkpoint is dropped: it will come again.
        """
        self._window, self._skipped = state["window"] if state else ([], 0)
        if self.main:
            self.metrics.rewind(state["metrics"] if state else 0)
            self.bad_samples.rewind(state["bad_samples"] if state else 0)
        for callback in self.callbacks:
            callback.on_stage_begin(self.stage, step, self.steps)

    def say(self, text: str) -> None:
        """A line for the reader."""
        for callback in self.callbacks:
            callback.on_message(f"{self.stage}: {text}")

    def on_images(self, step: int, pictures: Sequence[ValidationImage]) -> None:
        """The first frames of a validation."""
        for callback in self.callbacks:
            callback.on_images(step, pictures)

    def end(self) -> None:
        """The stage is done, or broken off."""
        for callback in self.callbacks:
            callback.on_stage_end()

    def write(self, row: Mapping[str, float]) -> None:
        """A row of metrics.jsonl."""
        if self.main:
            self.metrics.add(row)
        for callback in self.callbacks:
            callback.on_log(row)

    def on_step_end(self, step: int, terms: dict[str, float] | None, lr: float, pace: Pace) -> None:
        """A step was made, with these loss terms; None where it was passed over."""
        if terms is None:
            self._skipped += 1
        else:
            self._window.append(terms)
        stats = StepStats(
            step=step,
            steps=self.steps,
            loss=float("nan") if terms is None else terms["loss"],
            lr=lr,
            frames_per_s=pace.frames_per_s,
            data_wait=pace.data_wait,
            memory=pace.memory,
            eta_s=(self.steps - step) * pace.seconds_per_step,
        )
        for callback in self.callbacks:
            callback.on_step_end(stats)
        if step % REPORT_EVERY == 0 or step == self.steps:
            self._report(stats)

    def _report(self, stats: StepStats) -> None:
        """A row with the means since the last one, and the steps that were passed over."""
        names = self._window[0] if self._window else ()
        means = {n: sum(row[n] for row in self._window) / len(self._window) for n in names}
        skipped = {"skipped": self._skipped} if self._skipped else {}
        self._window, self._skipped = [], 0
        speed = {"frames_per_s": stats.frames_per_s, "data_wait": stats.data_wait}
        memory = {"memory_gb": stats.memory / 1e9}
        self.write({"step": stats.step, **means, "lr": stats.lr, **speed, **memory, **skipped})

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "window": (self._window, self._skipped),
            "metrics": self.metrics.count,
            "bad_samples": self.bad_samples.count,
        }
