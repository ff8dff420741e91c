"""How fast things run beside each other: in turns, medians, and the machine's limit in the same rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

import torch
from torch.nn import functional as F

TOKENS, NARROW, WIDE = 2048, 768, 3072  # ViT-B's widest linear layer on eight frames of 256 px
BURST = 5


def time_call(run: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def time_interleaved(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Median seconds of each run: all of them once a round, so that they meet the same machine.

    Args:
        runs: name to a call that says how many seconds it took.
        rounds: how often; one round more, which does not count, comes first.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for counted in [False] + [True] * rounds:
        for name, run in runs.items():
            seconds = run()
            if counted:
                taken[name].append(seconds)
    return {name: median(times) for name, times in taken.items()}


class PeakMatmul:
    """The machine's limit as a run: the fastest of a few matrix products, after the caches have them.

    Args:
        dtype: of both factors, [2048,768] and [768,3072].
    """

    flops = 2 * TOKENS * NARROW * WIDE

    def __init__(self, dtype: torch.dtype) -> None:
        self._tokens = torch.randn(TOKENS, NARROW, dtype=dtype)
        self._weight = torch.randn(WIDE, NARROW, dtype=dtype)

    def __call__(self) -> float:
        """Seconds of one product."""
        return min(time_call(lambda: F.linear(self._tokens, self._weight)) for _ in range(BURST))
