"""Confidence intervals and paired tests of any score over clips: cluster bootstrap, permutation test.

Clips of one source video resemble each other: treated as independent they would make intervals too narrow.
So sources are drawn (or swapped), each with all its clips. A data set with one clip per source is the plain
bootstrap.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from save_avs.metrics.mask_metrics import NO_CLIP
from save_avs.types import F64, I64, Bool

RESAMPLES = 2000
PERMUTATIONS = 9999
_CHUNK = 100  # data sets scored at once, which bounds memory
_ROUNDING = 1e-14  # relative difference of sums that differ only in the order of their terms

Scorer = Callable[[I64], F64]
"""Maps data sets as rows of clips, [R,C], to one score each, [R]."""


@dataclass(frozen=True)
class Estimate:
    """A score with its 95 % confidence interval."""

    value: float  # the score; NaN where nothing was scored
    low: float  # lower end of the interval; NaN for a single source, which gives none
    high: float  # upper end
    count: int  # clips, scenes or other values that were scored

    def __str__(self) -> str:
        if math.isnan(self.low):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Difference:
    """How much higher the second model scores than the first, its 95 % interval, and the test's p value."""

    value: float
    low: float
    high: float
    p: float


def draw_clusters(sources: Sequence[str] | I64, resamples: int = RESAMPLES, seed: int = 0) -> I64:
    """Draw data sets of as many sources as there are, with replacement, each with all its clips.

    Of the source of each clip, [C], returns indices of clips, [resamples,longest], shorter rows filled up
    with `NO_CLIP`.
    """
    cluster = _clusters(sources)
    members = np.argsort(cluster, kind="stable")  # clips, source by source
    sizes = np.bincount(cluster)
    starts = np.cumsum(sizes) - sizes
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(sizes), size=(resamples, len(sizes)))
    lengths = sizes[drawn]  # [R,G]
    totals = lengths.sum(axis=1)
    flat = lengths.ravel()
    within = np.arange(flat.sum()) - np.repeat(np.cumsum(flat) - flat, flat)
    clips = members[np.repeat(starts[drawn].ravel(), flat) + within]
    rows = np.full((resamples, totals.max()), NO_CLIP)
    rows[np.arange(rows.shape[1]) < totals[:, None]] = clips
    return rows


def score_with_interval(scorer: Scorer, sources: Sequence[str] | I64, draws: I64) -> Estimate:
    """Score all clips once, with the percentile interval over ``draws`` (`draw_clusters`)."""
    value = float(scorer(np.arange(len(sources))[None])[0])
    if len(set(sources)) < 2:
        return Estimate(value, math.nan, math.nan, len(sources))
    return Estimate(value, *percentile_interval(_score_in_chunks(scorer, draws)), len(sources))


def bootstrap_mean(
    values: ArrayLike, sources: Sequence[str] | None = None, *, seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """Mean and interval of the values, one per clip, [C], that are not NaN; NaN when there are none.

    Without ``sources``, that of each clip, each value is independent.
    """
    every = np.asarray(values, np.float64)
    known = ~np.isnan(every)
    kept = every[known]
    if len(kept) == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    if sources is None and np.ptp(kept) == 0:
        mean = float(kept.mean())
        return Estimate(mean, mean, mean, len(kept))
    clusters = np.arange(len(kept)) if sources is None else np.asarray(sources)[known]
    draws = draw_clusters(clusters, resamples, seed)
    return score_with_interval(lambda rows: mean_of_rows(kept, rows), clusters, draws)


def mean_of_rows(values: F64, rows: I64) -> F64:
    """Mean of the values at each row's indices, [R]; `NO_CLIP` does not count."""
    drawn = rows != NO_CLIP
    if drawn.all():
        return values[rows].mean(axis=1)
    return np.where(drawn, values[rows], 0.0).sum(axis=1) / drawn.sum(axis=1)


def paired_difference(
    scorer: Scorer,
    sources: Sequence[str],
    draws: I64,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Difference:
    """Compare two models on the same clips, whose sources and ``draws`` (`draw_clusters`) are given.

    The scorer scores rows of the joined table: clip c of the first model is row c, of the second row C + c.
    The p value is of a paired permutation test (two-sided, as scipy's `permutation_test`): were the models
    alike, swapping their answers to a source would change nothing. It holds for any score, also for F, which
    is no mean over clips, and assumes no distribution; with few sources, whose possible swaps are at most
    ``permutations``, it is exact. The interval is the percentile interval of a paired bootstrap: both models
    on the same drawn clips.
    """
    clips = len(sources)
    cluster = _clusters(sources)
    count = int(cluster.max()) + 1

    def difference(rows: I64) -> F64:
        other = np.where(rows == NO_CLIP, NO_CLIP, rows + clips)
        return scorer(other) - scorer(rows)

    value = float(difference(np.arange(clips)[None])[0])
    if np.isnan(value) or count < 2:
        return Difference(value, math.nan, math.nan, math.nan)
    low, high = percentile_interval(_score_in_chunks(difference, draws))

    def swapped(swaps: Bool) -> F64:
        first, second = (scorer(np.arange(clips) + clips * side[:, cluster]) for side in (swaps, ~swaps))
        return second - first

    exact = 2**count <= permutations
    swaps = _every_swap(count) if exact else _drawn_swaps(count, permutations, seed)
    chance = np.concatenate([swapped(some) for some in swaps])
    return Difference(value, low, high, _two_sided(value, chance, exact=exact))


def _every_swap(count: int) -> Iterator[Bool]:
    """Yield every way to swap the predictions for each source or not, [R,count], in chunks."""
    for start in range(0, 2**count, _CHUNK):
        ways = np.arange(start, min(start + _CHUNK, 2**count))
        yield (ways[:, None] >> np.arange(count) & 1).astype(bool)


def _drawn_swaps(count: int, permutations: int, seed: int) -> Iterator[Bool]:
    rng = np.random.default_rng(seed)
    sides = np.tile([False, True], (_CHUNK, count, 1))
    for start in range(0, permutations, _CHUNK):
        yield rng.permuted(sides, axis=-1)[: permutations - start, :, 0]


def _two_sided(value: float, chance: F64, *, exact: bool) -> float:
    """P value of a difference under the permuted ones; it counts as one of them unless they are all."""
    near = abs(value) * _ROUNDING
    itself = 0 if exact else 1
    tails = np.sum(chance <= value + near), np.sum(chance >= value - near)
    return min(1.0, 2 * (int(min(tails)) + itself) / (len(chance) + itself))


def _clusters(sources: Sequence[str] | I64) -> I64:
    """Index of each clip's source."""
    return np.unique(np.asarray(sources), return_inverse=True)[1].reshape(-1)


def _score_in_chunks(scorer: Scorer, draws: I64) -> F64:
    return np.concatenate([scorer(draws[i : i + _CHUNK]) for i in range(0, len(draws), _CHUNK)])


def percentile_interval(scores: F64) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the scores that are not NaN."""
    known = scores[~np.isnan(scores)]  # a drawn data set in which nothing sounds has no F
    if not len(known):
        return math.nan, math.nan
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
