"""Throughput of a stage: frames per second, time spent waiting for data, memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

import psutil
import torch

T = TypeVar("T")
WINDOW = 50  # steps


class StepTiming(NamedTuple):
    """Seconds that a step took and that it waited for data, and its frames."""

    seconds: float
    waited: float
    frames: float


class ThroughputMeter:
    """Averages over the last steps.

    Args:
        device: whose memory is reported.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._steps: deque[StepTiming] = deque(maxlen=WINDOW)
        self._start, self._waited = time.monotonic(), 0.0
        self._saved = self._start

    def iterate(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items and record the time spent waiting for them."""
        source = iter(items)
        while True:
            start = time.monotonic()
            item = next(source, None)
            if item is None:
                return
            self._waited += time.monotonic() - start
            yield item

    def step(self, frames: float) -> None:
        """Record a step."""
        now = time.monotonic()
        self._steps.append(StepTiming(now - self._start, self._waited, frames))
        self._start, self._waited = now, 0.0

    def restart(self) -> None:
        """Do not count the time since the last step: it was spent on a validation or a checkpoint."""
        self._start, self._waited = time.monotonic(), 0.0

    def checkpoint_saved(self) -> None:
        """Record that a checkpoint was written."""
        self._saved = time.monotonic()
        self.restart()

    @property
    def seconds_since_checkpoint(self) -> float:
        """Since the last checkpoint, or the start."""
        return time.monotonic() - self._saved

    @property
    def frames_per_s(self) -> float:
        """Frames per second."""
        return sum(step.frames for step in self._steps) / self._seconds

    @property
    def data_wait(self) -> float:
        """Share of the time spent waiting for data, 0 to 1."""
        return sum(step.waited for step in self._steps) / self._seconds

    @property
    def seconds_per_step(self) -> float:
        """Seconds per step."""
        return self._seconds / max(1, len(self._steps))

    @property
    def memory(self) -> int:
        """Bytes: the peak of a GPU's allocator, else the resident memory of the process."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return psutil.Process().memory_info().rss

    @property
    def _seconds(self) -> float:
        return max(1e-9, sum(step.seconds for step in self._steps))
