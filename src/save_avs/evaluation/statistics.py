"""Means with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_CHUNK = 100  # resamples drawn at once: memory is bounded by it


@dataclass(frozen=True)
class Figure:
    """A mean over ``count`` values with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        if math.isnan(self.low):  # of one source, which has no interval
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_mean(values: ArrayLike, *, seed: int = 0, resamples: int = 2000) -> Figure:
    """Mean and percentile bootstrap interval of the values that are not NaN; NaN when there are none."""
    kept = np.asarray(values, np.float64)
    kept = kept[~np.isnan(kept)]
    if len(kept) == 0:
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    mean = float(kept.mean())
    if len(kept) == 1 or np.ptp(kept) == 0:
        return Figure(mean, mean, mean, len(kept))
    rng = np.random.default_rng(seed)
    sizes = [min(_CHUNK, resamples - start) for start in range(0, resamples, _CHUNK)]
    means = [kept[rng.integers(len(kept), size=(size, len(kept)))].mean(axis=1) for size in sizes]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return Figure(mean, float(low), float(high), len(kept))


def holm(ps: Sequence[float]) -> list[float]:
    """P values corrected for their number, so that the chance of any false alarm keeps its level.

    NaN stays and does not count. Source: Holm 1979, "A simple sequentially rejective multiple test
    procedure".
    """
    order = sorted((i for i, p in enumerate(ps) if not np.isnan(p)), key=lambda i: ps[i])
    corrected, highest = list(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * ps[i]))
        corrected[i] = highest
    return corrected
