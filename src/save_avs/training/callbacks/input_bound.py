"""Tells when a training waits for its data."""

from __future__ import annotations

from collections.abc import Callable

from save_avs.training.callbacks.base import Callback, StepStats

SETTLE, WINDOW = 50, 200  # steps: while workers start; those that are judged together
LIMIT = 0.2  # share of the time


class DataWaitMonitor(Callback):
    """Says once a stage that steps wait for data, with the wait and what helps.

    Args:
        say: receives the line.
        workers: processes that read or compose, as they are now.
        limit: share of the time of `WINDOW` steps from which on it is said.
    """

    def __init__(self, say: Callable[[str], None], *, workers: int, limit: float = LIMIT) -> None:
        self.say, self.workers, self.limit = say, workers, limit

    def on_stage_begin(self, stage: str, step: int, steps: int) -> None:
        """Judge anew."""
        self.stage, self.first = stage, step + SETTLE
        self.told = False
        self._clear()

    def on_step_end(self, stats: StepStats) -> None:
        """Count a step; judge when there are enough."""
        left = stats.steps - stats.step
        if self.told or stats.step <= self.first or not left:
            return
        pace = stats.eta_s / left  # seconds a step
        self.counted += 1
        self.spent += pace
        self.waited += pace * stats.data_wait
        if self.counted == WINDOW:
            self._judge()
            self._clear()

    def _judge(self) -> None:
        share = self.waited / self.spent if self.spent else 0.0
        if share > self.limit:
            self.told = True
            self.say(
                f"{self.stage}: {share:.0%} of the time is spent waiting for data, "
                f"{1000 * self.waited / self.counted:.0f} ms a step: give it more workers "
                f"(workers=N, now {self.workers}), or clips their features from `save-avs data features`"
            )

    def _clear(self) -> None:
        self.counted, self.spent, self.waited = 0, 0.0, 0.0
