"""What a stage tells: rows for metrics.jsonl, moments and lines for those who watch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from save_avs.training.pace import Pace
from save_avs.training.rows import Rows
from save_avs.training.watching.watch import Moment, Picture, Watch

METRICS, BAD_SAMPLES = "metrics.jsonl", "bad_samples.jsonl"
REPORT_EVERY = 50


class Journal:
    """A stage's files and watchers.

    Args:
        folder: of the stage.
        stage: its name.
        steps: how many it has.
        watches: see what happens.
        main: whether this process writes and speaks.
    """

    def __init__(self, folder: Path, stage: str, steps: int, watches: Sequence[Watch], *, main: bool) -> None:
        self.stage, self.steps, self.main = stage, steps, main
        self.watches = watches if main else ()
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
        for watch in self.watches:
            watch.began(self.stage, step, self.steps)

    def say(self, text: str) -> None:
        """A line for the reader."""
        for watch in self.watches:
            watch.said(f"{self.stage}: {text}")

    def pictured(self, step: int, pictures: Sequence[Picture]) -> None:
        """The first frames of a validation."""
        for watch in self.watches:
            watch.pictured(step, pictures)

    def end(self) -> None:
        """The stage is done, or broken off."""
        for watch in self.watches:
            watch.ended()

    def write(self, row: Mapping[str, float]) -> None:
        """A row of metrics.jsonl."""
        if self.main:
            self.metrics.add(row)
        for watch in self.watches:
            watch.logged(row)

    def stepped(self, step: int, terms: dict[str, float] | None, lr: float, pace: Pace) -> None:
        """A step was made, with these loss terms; None where it was passed over."""
        if terms is None:
            self._skipped += 1
        else:
            self._window.append(terms)
        moment = Moment(
            step=step,
            steps=self.steps,
            loss=float("nan") if terms is None else terms["loss"],
            lr=lr,
            frames_per_s=pace.frames_per_s,
            data_wait=pace.data_wait,
            memory=pace.memory,
            left_s=(self.steps - step) * pace.seconds_per_step,
        )
        for watch in self.watches:
            watch.stepped(moment)
        if step % REPORT_EVERY == 0 or step == self.steps:
            self._report(moment)

    def _report(self, moment: Moment) -> None:
        """A row with the means since the last one, and the steps that were passed over."""
        names = self._window[0] if self._window else ()
        means = {n: sum(row[n] for row in self._window) / len(self._window) for n in names}
        skipped = {"skipped": self._skipped} if self._skipped else {}
        self._window, self._skipped = [], 0
        speed = {"frames_per_s": moment.frames_per_s, "data_wait": moment.data_wait}
        memory = {"memory_gb": moment.memory / 1e9}
        self.write({"step": moment.step, **means, "lr": moment.lr, **speed, **memory, **skipped})

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "window": (self._window, self._skipped),
            "metrics": self.metrics.count,
            "bad_samples": self.bad_samples.count,
        }
