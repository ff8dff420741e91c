"""Statistics of grid studies: means over seeds and scenes, paired tests between variants, Holm's correction.

Every run of a study is scored on the same units (scenes, or clips), so units are crossed with seeds. An
interval resamples both: the units' sources, the same for all variants, and of each variant as many seeds as
it has. With one seed only units are resampled, and the interval does not cover other seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from save_avs.metrics.bootstrap_and_permutation import (
    Difference,
    Estimate,
    draw_clusters,
    mean_of_rows,
    paired_difference,
    percentile_interval,
)
from save_avs.types import F64

Key = TypeVar("Key")


@dataclass(frozen=True)
class SeedSample:
    """The values of a variant, f64 [seeds,units], and the units' sources."""

    values: F64
    sources: tuple[str, ...]


class CrossedBootstrap:
    """Resampled units, the same for every variant, so that differences are paired.

    Args:
        sources: of the units; units of one source are drawn together.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self.sources = tuple(sources)
        self._draws = draw_clusters(sources)

    def mean(self, sample: SeedSample) -> Estimate:
        """Mean over seeds and units, with its 95 % interval."""
        interval = percentile_interval(self._means(sample, seed=0))
        return Estimate(float(sample.values.mean()), *interval, sample.values.size)

    def difference(self, sample: SeedSample, reference: SeedSample) -> Difference:
        """How much higher a sample is than the reference.

        The interval resamples units, and each one's seeds. The p value is of a paired permutation test over
        units, of the means over seeds: it tests whether these trained models differ on other units.
        """
        drawn = self._means(sample, seed=1) - self._means(reference, seed=2)
        pair = np.concatenate([reference.values.mean(0), sample.values.mean(0)])
        p = paired_difference(lambda rows: mean_of_rows(pair, rows), self.sources, self._draws).p
        value = float(sample.values.mean() - reference.values.mean())
        return Difference(value, *percentile_interval(drawn), p)

    def _means(self, sample: SeedSample, *, seed: int) -> F64:
        """A mean for each draw, [R]."""
        seeds = len(sample.values)
        drawn_seeds = np.random.default_rng(seed).integers(seeds, size=(len(self._draws), seeds))
        by_seed = np.stack([mean_of_rows(values, self._draws) for values in sample.values])  # [seeds,R]
        return np.take_along_axis(by_seed, drawn_seeds.T, axis=0).mean(axis=0)


def holm(ps: Sequence[float]) -> list[float]:
    """Correct p values for their number, so that the probability of any false positive keeps its level.

    NaN stays and does not count. Source: Holm 1979, "A simple sequentially rejective multiple test
    procedure".
    """
    order = sorted((i for i, p in enumerate(ps) if not np.isnan(p)), key=lambda i: ps[i])
    corrected, highest = list(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * ps[i]))
        corrected[i] = highest
    return corrected


def correct_differences(differences: Mapping[Key, Difference]) -> dict[Key, Difference]:
    """Apply Holm's correction to the p values of all differences of a table."""
    corrected = holm([difference.p for difference in differences.values()])
    pairs = zip(differences.items(), corrected, strict=True)
    return {key: replace(difference, p=p) for (key, difference), p in pairs}
