"""Means over seeds and scenes, and tests between variants that saw the same scenes.

Every run of a study is scored on the same units (scenes, or clips), so units are crossed with seeds. An
interval draws both again: the units' sources, which all runs share, and of each variant as many seeds as it
has. With one seed only the units are drawn, and the interval says nothing of other seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from save_avs.metrics.bootstrap import Difference, Estimate, draw_clusters, paired_difference
from save_avs.metrics.mask_metrics import NO_CLIP
from save_avs.types import F64, I64


@dataclass(frozen=True)
class Sample:
    """The values of a variant: f64 [seeds,units], and the units' sources."""

    values: F64
    sources: tuple[str, ...]


class Resampled:
    """Draws of units, the same for every variant, so that their differences are paired.

    Args:
        sources: of the units; those of one source are drawn together.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self.sources = tuple(sources)
        self.draws = draw_clusters(sources)

    def mean(self, sample: Sample) -> Estimate:
        """Mean over seeds and units, with its 95 % interval."""
        low, high = _percentiles(self._means(sample, seed=0))
        return Estimate(float(sample.values.mean()), low, high, sample.values.size)

    def difference(self, sample: Sample, reference: Sample) -> Difference:
        """How much higher a sample is than the reference.

        The interval draws units, and each one's seeds. The p value is of a paired permutation test over
        units, of the means over seeds: whether these models, as they were trained, differ on other units.
        """
        drawn = self._means(sample, seed=1) - self._means(reference, seed=2)
        pair = np.concatenate([reference.values.mean(0), sample.values.mean(0)])
        p = paired_difference(lambda rows: _mean_of(pair, rows), self.sources, self.draws).p
        return Difference(float(sample.values.mean() - reference.values.mean()), *_percentiles(drawn), p)

    def _means(self, sample: Sample, *, seed: int) -> F64:
        """A mean for each draw, [R]."""
        seeds = len(sample.values)
        chosen = np.random.default_rng(seed).integers(seeds, size=(len(self.draws), seeds))
        by_seed = np.stack([_mean_of(values, self.draws) for values in sample.values])  # [seeds,R]
        return np.take_along_axis(by_seed, chosen.T, axis=0).mean(axis=0)


def _mean_of(values: F64, rows: I64) -> F64:
    """Mean of the values at each row's places, [R]."""
    there = rows != NO_CLIP
    return np.where(there, values[rows], 0.0).sum(axis=1) / there.sum(axis=1)


def _percentiles(values: F64) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
