"""Intervals over scenes and seeds against formulas, tests against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import permutation_test

from studies.statistics import CrossedBootstrap, SeedSample, holm

UNITS = 400


def sample(values: np.ndarray) -> SeedSample:
    return SeedSample(np.atleast_2d(values), tuple(str(i) for i in range(values.shape[-1])))


def test_interval_with_one_seed_is_over_scenes():
    values = np.random.default_rng(0).normal(0.6, 0.2, UNITS)
    one = sample(values)
    mean = CrossedBootstrap(one.sources).mean(one)
    error = values.std() / np.sqrt(UNITS)
    assert mean.value == pytest.approx(values.mean()) and mean.count == UNITS
    assert mean.high - mean.low == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_interval_includes_the_variance_of_seeds():
    """Variance of a mean over drawn seeds and drawn scenes: the seeds' over their number, and the scenes'."""
    rng = np.random.default_rng(1)
    shifts = np.array([-0.06, 0.0, 0.06])
    values = rng.normal(0.6, 0.2, UNITS) + shifts[:, None]
    many = sample(values)
    mean = CrossedBootstrap(many.sources).mean(many)
    spread = np.sqrt(shifts.var() / 3 + values[0].var() / UNITS)
    assert (mean.high - mean.low) / (2 * 1.96) == pytest.approx(spread, rel=0.1)


def test_differences_are_paired():
    """Scenes differ widely, the variants by the same on each: the difference is known to a hair."""
    base = np.random.default_rng(2).uniform(0, 1, UNITS)
    reference, other = sample(base), sample(base + 0.01)
    draws = CrossedBootstrap(reference.sources)
    difference = draws.difference(other, reference)
    assert difference.value == pytest.approx(0.01)
    assert difference.low == pytest.approx(0.01) and difference.high == pytest.approx(0.01)
    assert difference.p < 0.001
    assert draws.mean(other).high - draws.mean(other).low > 0.03


def test_p_value_equals_scipy_of_means_over_seeds():
    rng = np.random.default_rng(3)
    one, other = rng.normal(0.5, 0.2, (3, 12)), rng.normal(0.6, 0.2, (3, 12))
    found = CrossedBootstrap(sample(one).sources).difference(sample(other), sample(one)).p
    gaps = (other.mean(0) - one.mean(0),)
    exact = permutation_test(gaps, np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert found == pytest.approx(exact, abs=1e-12)


def test_units_of_one_source_are_drawn_together():
    values = np.repeat(np.random.default_rng(4).normal(0.5, 0.2, 100), 4)
    alone = sample(values)
    together = SeedSample(alone.values, tuple(str(i // 4) for i in range(400)))
    width = [f.high - f.low for f in (CrossedBootstrap(s.sources).mean(s) for s in (alone, together))]
    assert width[1] == pytest.approx(2 * width[0], rel=0.15)


def test_holm_worked_example():
    """Four tests at 0.01, 0.04, 0.03, 0.005: times 4, 3, 2, 1 in their order, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0] and holm([]) == []


def test_holm_ignores_nan():
    found = holm([0.02, float("nan"), 0.5])
    assert found[0] == pytest.approx(0.04) and np.isnan(found[1]) and found[2] == 0.5


def test_holm_keeps_the_family_wise_error_rate():
    draws = np.random.default_rng(0).uniform(size=(2000, 8))
    alarms = np.mean([min(holm(list(ps))) <= 0.05 for ps in draws])
    assert 0.035 < alarms < 0.062
