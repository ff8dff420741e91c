"""Throughput of a stage: frames per second, time spent waiting for data, memory."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

import psutil
import torch

from save_avs.training.callbacks.callback import WINDOW, StepStats

T = TypeVar("T")


class ThroughputMeter:
    """Measures the last steps, and the memory of a device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._steps: deque[tuple[float, float, float]] = deque(maxlen=WINDOW)  # seconds, waited, frames
        self.restart()

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
        self._steps.append((time.monotonic() - self._start, self._waited, frames))
        self.restart()

    def restart(self) -> None:
        """Do not count the time since the last step: it was spent on a validation or a checkpoint."""
        self._start, self._waited = time.monotonic(), 0.0

    def stats(self, step: int, steps: int, *, loss: float, lr: float) -> StepStats:
        """Return the state of a stage after a step, with the averages up to it."""
        seconds, waited, frames = (sum(column) for column in zip(*self._steps, strict=True))
        seconds = max(1e-9, seconds)
        return StepStats(
            step=step,
            steps=steps,
            loss=loss,
            lr=lr,
            frames_per_s=frames / seconds,
            data_wait=waited / seconds,
            memory=self._memory(),
            eta_s=(steps - step) * seconds / len(self._steps),
        )

    def _memory(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return psutil.Process().memory_info().rss
