"""Interleaved timing of several functions, and the machine's peak matrix product in the same rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

import torch
from torch.nn import functional as F

TOKENS, IN_FEATURES, OUT_FEATURES = 2048, 768, 3072  # ViT-B's widest linear layer on eight frames of 256 px
REPEATS = 5


def time_call(run: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def time_interleaved(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each run; each round has all of them, under the same machine load.

    Args:
        runs: name to a function that returns the seconds it took.
        rounds: timed rounds, after one of warm-up.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for counted in [False] + [True] * rounds:
        for name, run in runs.items():
            taken = run()
            if counted:
                seconds[name].append(taken)
    return {name: median(times) for name, times in seconds.items()}


class PeakMatmul:
    """The machine's peak, as a run for `time_interleaved`: the fastest of a few matrix products.

    Args:
        dtype: of both factors, [2048,768] and [768,3072].
    """

    flops = 2 * TOKENS * IN_FEATURES * OUT_FEATURES

    def __init__(self, dtype: torch.dtype) -> None:
        self._tokens = torch.randn(TOKENS, IN_FEATURES, dtype=dtype)
        self._weight = torch.randn(OUT_FEATURES, IN_FEATURES, dtype=dtype)

    def __call__(self) -> float:
        """Return the seconds of one product."""
        return min(time_call(lambda: F.linear(self._tokens, self._weight)) for _ in range(REPEATS))
