"""Tells when a training waits for its data."""

from __future__ import annotations

from collections.abc import Callable

from save_avs.training.watching.watch import Moment, Watch

SETTLE, WINDOW = 50, 200  # steps: while workers start; those that are judged together
LIMIT = 0.2  # share of the time


class InputBound(Watch):
    """Says once a stage that steps wait for data, with the wait and what helps.

    Args:
        say: receives the line.
        workers: processes that read or compose, as they are now.
        limit: share of the time of `WINDOW` steps from which on it is said.
    """

    def __init__(self, say: Callable[[str], None], *, workers: int, limit: float = LIMIT) -> None:
        self.say, self.workers, self.limit = say, workers, limit

    def began(self, stage: str, step: int, steps: int) -> None:
        """Judge anew."""
        self.stage, self.first = stage, step + SETTLE
        self.told = False
        self._clear()

    def stepped(self, moment: Moment) -> None:
        """Count a step; judge when there are enough."""
        left = moment.steps - moment.step
        if self.told or moment.step <= self.first or not left:
            return
        pace = moment.left_s / left  # seconds a step
        self.counted += 1
        self.spent += pace
        self.waited += pace * moment.data_wait
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
