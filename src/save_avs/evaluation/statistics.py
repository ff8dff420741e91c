"""Means with their uncertainty."""

from __future__ import annotations

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
