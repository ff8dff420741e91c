"""Reports when a training waits for its data."""

from __future__ import annotations

from collections.abc import Callable

from save_avs.training.callbacks.callback import Callback, StepStats

WARMUP, WINDOW = 50, 200  # steps: while workers start; those that are judged together
LIMIT = 0.2  # share of the time


class DataWaitMonitor(Callback):
    """Reports once per stage that steps wait for data, for how long, and what helps.

    Args:
        on_message: receives the line.
        workers: data loading processes.
        limit: share of the time of `WINDOW` steps above which it is reported.
    """

    def __init__(self, on_message: Callable[[str], None], *, workers: int, limit: float = LIMIT) -> None:
        self.report, self.workers, self.limit = on_message, workers, limit

    def on_stage_begin(self, stage: str, step: int, steps: int) -> None:
        """Start over."""
        self.stage, self.first = stage, step + WARMUP
        self.reported = False
        self._clear()

    def on_step_end(self, stats: StepStats) -> None:
        """Count a step; judge when there are enough."""
        left = stats.steps - stats.step
        if self.reported or stats.step <= self.first or not left:
            return
        seconds = stats.eta_s / left  # per step
        self.counted += 1
        self.spent += seconds
        self.waited += seconds * stats.data_wait
        if self.counted == WINDOW:
            self._judge()
            self._clear()

    def _judge(self) -> None:
        share = self.waited / self.spent if self.spent else 0.0
        if share > self.limit:
            self.reported = True
            self.report(
                f"{self.stage}: {share:.0%} of the time is spent waiting for data, "
                f"{1000 * self.waited / self.counted:.0f} ms per step: increase workers "
                f"(now {self.workers}), or store audio features with `save-avs data features`"
            )

    def _clear(self) -> None:
        self.counted, self.spent, self.waited = 0, 0.0, 0.0
