"""Cluster bootstrap and paired permutation test, against formulas and scipy."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from scipy.stats import bootstrap, permutation_test

from save_avs.metrics.bootstrap_and_permutation import (
    bootstrap_mean,
    draw_clusters,
    paired_difference,
    score_with_interval,
)
from save_avs.metrics.mask_metrics import NO_CLIP


def mean_of(values: np.ndarray, draws: np.ndarray) -> np.ndarray:
    return np.array([values[row[row != NO_CLIP]].mean() for row in draws])


def names(count: int, per_source: int = 1) -> list[str]:
    return [f"v{i // per_source}" for i in range(count)]


def test_draw_clusters_draws_a_source_with_all_its_clips() -> None:
    sources = ["b", "a", "b", "c", "b"]
    draws = draw_clusters(sources, 300, seed=1)
    assert draws.shape == (300, 9)  # the source of three clips, three times
    for row in draws:
        kept = row[row != NO_CLIP]
        assert (row[len(kept) :] == NO_CLIP).all()  # shorter rows are filled up at their end
        counts = np.bincount(kept, minlength=5)
        assert counts[0] == counts[2] == counts[4] and counts[[0, 1, 3]].sum() == 3
    assert np.bincount(draws[draws != NO_CLIP], minlength=5) == pytest.approx([300] * 5, rel=0.2)


def test_draw_clusters_depends_on_the_seed() -> None:
    first, again, other = (draw_clusters(names(9), 20, seed) for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


def test_interval_is_about_two_standard_errors() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    score = score_with_interval(partial(mean_of, values), names(400), draw_clusters(names(400)))
    assert score.value == pytest.approx(values.mean())
    assert score.high - score.low == pytest.approx(4 * 0.1 / 20, rel=0.15)
    assert score.low < score.value < score.high


def test_interval_is_not_narrower_for_clips_of_one_source() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 50).repeat(8)  # eight clips say the same
    score = partial(mean_of, values)
    alone, together = (score_with_interval(score, s, draw_clusters(s)) for s in (names(400), names(400, 8)))
    assert together.high - together.low == pytest.approx(math.sqrt(8) * (alone.high - alone.low), rel=0.2)


def test_interval_is_nan_for_a_single_source() -> None:
    score = score_with_interval(partial(mean_of, np.array([0.2, 0.4])), ["v", "v"], draw_clusters(["v", "v"]))
    assert score.value == pytest.approx(0.3) and math.isnan(score.low)


def test_paired_difference_finds_a_small_steady_advantage() -> None:
    rng = np.random.default_rng(2)
    first = rng.uniform(0.2, 0.9, 60)
    both = np.concatenate([first, first + 0.01 + rng.normal(0, 0.01, 60)])
    found = paired_difference(partial(mean_of, both), names(60), draw_clusters(names(60)), permutations=999)
    assert found.value == pytest.approx(0.01, abs=0.004)
    assert 0 < found.low < found.value < found.high and found.p < 0.01


def test_paired_difference_of_a_model_with_itself_is_zero() -> None:
    both = np.tile(np.random.default_rng(3).random(20), 2)
    found = paired_difference(partial(mean_of, both), names(20), draw_clusters(names(20)), permutations=99)
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(("clips", "permutations"), [(40, 999), (40, 9999), (11, 9999), (9, 512)])
def test_p_value_equals_scipy(clips: int, permutations: int) -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(0.5, 0.2, clips), rng.normal(0.6, 0.2, clips)
    both = np.concatenate([first, second])
    theirs = permutation_test(
        (first, second),
        lambda one, other, axis: np.mean(other - one, axis=axis),
        permutation_type="samples",
        n_resamples=permutations,
        batch=100,
        rng=np.random.default_rng(6),
    )
    sources = [f"{i:02}" for i in range(clips)]  # in the order that they are swapped in
    draws = draw_clusters(sources, 20)
    ours = paired_difference(partial(mean_of, both), sources, draws, permutations=permutations, seed=6)
    assert ours.p == pytest.approx(theirs.pvalue, abs=1e-12)


def test_p_value_is_exact_for_few_sources() -> None:
    both = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])  # four clips, the second always better by 0.4
    found = paired_difference(partial(mean_of, both), names(4), draw_clusters(names(4)))
    assert found.p == pytest.approx(2 / 2**4)


def test_permutation_swaps_source_by_source() -> None:
    """Four clips of two sources: there are 2^2 ways to swap, not 2^4."""
    both = np.array([0.1, 0.1, 0.2, 0.2, 0.5, 0.5, 0.6, 0.6])
    found = paired_difference(partial(mean_of, both), names(4, 2), draw_clusters(names(4, 2)))
    assert found.p == pytest.approx(2 / 2**2)
    one_each = np.array([0, 0, 0, 0, 1.0, 1.0, -0.9, -0.9])  # better on one source, worse on the other
    found = paired_difference(partial(mean_of, one_each), names(4, 2), draw_clusters(names(4, 2)))
    assert found.p == pytest.approx(1.0)  # clips swapped one by one, or mixed, would give less


def test_false_positive_rate_of_equal_models() -> None:
    rng = np.random.default_rng(4)
    small = []
    for _ in range(100):
        both = rng.random(24)
        draws = draw_clusters(names(12), 20)
        small.append(paired_difference(partial(mean_of, both), names(12), draws, permutations=199).p <= 0.05)
    assert 0 < sum(small) <= 12


def test_bootstrap_mean_of_a_normal_sample() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    mean = bootstrap_mean(values)
    assert mean.value == pytest.approx(values.mean())
    assert mean.high - mean.low == pytest.approx(4 * 0.1 / 20, rel=0.15)
    assert mean.low < mean.value < mean.high


def test_bootstrap_mean_equals_scipy() -> None:
    values = np.random.default_rng(1).exponential(size=57)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=1050, method="percentile", rng=np.random.default_rng(5), batch=100
    ).confidence_interval
    mean = bootstrap_mean(values, seed=5, resamples=1050)
    assert (mean.low, mean.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_bootstrap_mean_ignores_nan() -> None:
    mean = bootstrap_mean([1.0, float("nan"), 1.0])
    assert (mean.value, mean.low, mean.high, mean.count) == (1.0, 1.0, 1.0, 2)


def test_bootstrap_mean_of_nothing_is_nan() -> None:
    assert math.isnan(bootstrap_mean([]).value)
    assert bootstrap_mean([]).count == 0
