"""Intervals and paired tests of any score over clips, by drawing or swapping clips.

Clips of one source video resemble each other: treated as independent they would make intervals too narrow.
So sources are drawn (or swapped), each with all its clips. A data set of one clip a source is the plain case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from save_avs.metrics.mask_metrics import NO_CLIP
from save_avs.types import F64, I64, Bool

RESAMPLES = 2000
PERMUTATIONS = 9999
_CHUNK = 100  # data sets scored at once: memory is bounded by it
_ROUNDING = 1e-14  # differences that are equal but for the order they were summed in

Scorer = Callable[[I64], F64]
"""Data sets as rows of clips, [R,C], to one score each, [R]."""


@dataclass(frozen=True)
class Score:
    """A score in 0..1 with its 95 % interval; the interval is NaN where one source says nothing about it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How much higher the second model scores than the first, its 95 % interval, and the test's p value."""

    value: float
    low: float
    high: float
    p: float


def draw_clusters(sources: Sequence[str], resamples: int = RESAMPLES, seed: int = 0) -> I64:
    """Draw data sets of as many sources as there are, each with all its clips.

    Args:
        sources: the source of each clip, [C].
        resamples: data sets to draw, R.
        seed: what they are drawn from.

    Returns:
        Places of clips, [R,longest], shorter rows filled with `NO_CLIP`.
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


def score_with_interval(scorer: Scorer, sources: Sequence[str], draws: I64) -> Score:
    """Score all clips once, with the percentile interval over ``draws`` (`draw_clusters`)."""
    value = float(scorer(np.arange(len(sources))[None])[0])
    if len(set(sources)) < 2:
        return Score(value, float("nan"), float("nan"))
    low, high = _percentiles(_in_chunks(scorer, draws))
    return Score(value, low, high)


def paired_difference(
    scorer: Scorer,
    sources: Sequence[str],
    draws: I64,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Difference:
    """Compare two models on the same clips.

    The p value is of a paired permutation test (two-sided, as scipy's `permutation_test`): were the models
    alike, swapping their answers to a source would change nothing. It holds for any score, also for F, which
    is no mean over clips, and assumes no distribution; with few sources it is exact. The interval is the
    percentile interval of a paired bootstrap: both models on the same drawn clips.

    Args:
        scorer: scores rows of the joined table: clip c of the first model is row c, of the second row C + c.
        sources: the source of each of the C clips.
        draws: `draw_clusters` of them.
        permutations: at most so many swaps.
        seed: what they are drawn from.
    """
    clips = len(sources)
    cluster = _clusters(sources)
    count = int(cluster.max()) + 1

    def difference(rows: I64) -> F64:
        other = np.where(rows == NO_CLIP, NO_CLIP, rows + clips)
        return scorer(other) - scorer(rows)

    value = float(difference(np.arange(clips)[None])[0])
    if np.isnan(value) or count < 2:
        return Difference(value, float("nan"), float("nan"), float("nan"))
    low, high = _percentiles(_in_chunks(difference, draws))

    def swapped(swaps: Bool) -> F64:
        first, second = (scorer(np.arange(clips) + clips * side[:, cluster]) for side in (swaps, ~swaps))
        return second - first

    exact = 2**count <= permutations
    swaps = _every_swap(count) if exact else _drawn_swaps(count, permutations, seed)
    chance = np.concatenate([swapped(some) for some in swaps])
    return Difference(value, low, high, _two_sided(value, chance, exact=exact))


def _every_swap(count: int) -> Iterator[Bool]:
    """All ways to swap the answers to each source, or not, [R,count], a chunk at a time."""
    for start in range(0, 2**count, _CHUNK):
        ways = np.arange(start, min(start + _CHUNK, 2**count))
        yield (ways[:, None] >> np.arange(count) & 1).astype(bool)


def _drawn_swaps(count: int, permutations: int, seed: int) -> Iterator[Bool]:
    rng = np.random.default_rng(seed)
    sides = np.tile([False, True], (_CHUNK, count, 1))
    for start in range(0, permutations, _CHUNK):
        yield rng.permuted(sides, axis=-1)[: permutations - start, :, 0]


def _two_sided(value: float, chance: F64, *, exact: bool) -> float:
    """P value of a difference among those by chance; to drawn ones it is added itself."""
    near = abs(value) * _ROUNDING
    itself = 0 if exact else 1
    tails = np.sum(chance <= value + near), np.sum(chance >= value - near)
    return min(1.0, 2 * (int(min(tails)) + itself) / (len(chance) + itself))


def _clusters(sources: Sequence[str]) -> I64:
    """Number of each clip's source."""
    return np.unique(np.asarray(sources), return_inverse=True)[1].reshape(-1)


def _in_chunks(scorer: Scorer, draws: I64) -> F64:
    return np.concatenate([scorer(draws[i : i + _CHUNK]) for i in range(0, len(draws), _CHUNK)])


def _percentiles(scores: F64) -> tuple[float, float]:
    known = scores[~np.isnan(scores)]  # a drawn data set in which nothing sounds has no F
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
