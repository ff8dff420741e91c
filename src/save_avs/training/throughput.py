"""How fast a stage goes, and what it waits for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

import psutil
import torch

Item = TypeVar("Item")
SPAN = 50  # steps that the pace is taken over


class Lap(NamedTuple):
    """What one step took, seconds, and how many frames it had."""

    seconds: float
    waited: float
    frames: float


class Pace:
    """A running view of the last steps.

    Args:
        device: whose memory is told.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._laps: deque[Lap] = deque(maxlen=SPAN)
        self._began, self._waited = time.monotonic(), 0.0
        self._saved = self._began

    def waiting_for(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, the time they let one wait taken down."""
        source = iter(items)
        while True:
            began = time.monotonic()
            item = next(source, None)
            if item is None:
                return
            self._waited += time.monotonic() - began
            yield item

    def lap(self, frames: float) -> None:
        """A step is done."""
        now = time.monotonic()
        self._laps.append(Lap(now - self._began, self._waited, frames))
        self._began, self._waited = now, 0.0

    def pause(self) -> None:
        """What happened since the last step was none of it: a validation, a checkpoint."""
        self._began, self._waited = time.monotonic(), 0.0

    def checkpointed(self) -> None:
        """A checkpoint was written."""
        self._saved = time.monotonic()
        self.pause()

    @property
    def since_checkpoint(self) -> float:
        """Seconds since the last checkpoint, or the beginning."""
        return time.monotonic() - self._saved

    @property
    def frames_per_s(self) -> float:
        """Frames a second."""
        return sum(lap.frames for lap in self._laps) / self._seconds

    @property
    def data_wait(self) -> float:
        """Share of the time spent waiting for data, 0 to 1."""
        return sum(lap.waited for lap in self._laps) / self._seconds

    @property
    def seconds_per_step(self) -> float:
        """Seconds a step."""
        return self._seconds / max(1, len(self._laps))

    @property
    def memory(self) -> int:
        """Bytes: the peak of a GPU's allocator, else what the process has in memory."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return psutil.Process().memory_info().rss

    @property
    def _seconds(self) -> float:
        return max(1e-9, sum(lap.seconds for lap in self._laps))
