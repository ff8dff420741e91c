"""Means with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


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
    from scipy.stats import bootstrap

    kept = np.asarray(values, np.float64)
    kept = kept[~np.isnan(kept)]
    if len(kept) == 0:
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    mean = float(kept.mean())
    if len(kept) == 1 or np.ptp(kept) == 0:
        return Figure(mean, mean, mean, len(kept))
    rng = np.random.default_rng(seed)
    interval = bootstrap(
        (kept,), np.mean, n_resamples=resamples, method="percentile", rng=rng, batch=100
    ).confidence_interval
    return Figure(mean, float(interval.low), float(interval.high), len(kept))


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
