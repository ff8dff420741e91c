"""Reports when a training waits for its data."""

from collections.abc import Callable

from save_avs.training.callbacks.callback import WINDOW, Callback, StepStats

WARMUP = 50  # steps, while workers start
LIMIT = 0.2  # share of the time


class DataWaitMonitor(Callback):
    """Reports once per stage that more than `LIMIT` of the time is spent waiting for data, and what helps."""

    def __init__(self, on_message: Callable[[str], None], *, workers: int) -> None:
        self.report, self.workers = on_message, workers

    def on_stage_begin(self, stage: str, step: int, steps: int) -> None:
        """Judge from the first full window after the warmup."""
        self.stage, self.first, self.reported = stage, step + WARMUP + WINDOW, False

    def on_step_end(self, stats: StepStats) -> None:
        """Report a long wait."""
        left = stats.steps - stats.step
        if self.reported or stats.step < self.first or not left or stats.data_wait <= LIMIT:
            return
        self.reported = True
        self.report(
            f"{self.stage}: {stats.data_wait:.0%} of the time is spent waiting for data, "
            f"{1000 * stats.data_wait * stats.eta_s / left:.0f} ms per step: increase workers "
            f"(now {self.workers}), or store audio features with `save-avs data features`"
        )
