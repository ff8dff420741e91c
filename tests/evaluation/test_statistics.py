"""Bootstrap intervals of means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from save_avs.evaluation import bootstrap_mean
from save_avs.evaluation.statistics import holm


def test_the_interval_of_a_normal_sample_is_about_two_standard_errors() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    figure = bootstrap_mean(values)
    assert figure.mean == pytest.approx(values.mean())
    assert figure.high - figure.low == pytest.approx(4 * 0.1 / 20, rel=0.15)
    assert figure.low < figure.mean < figure.high


def test_the_interval_is_scipys() -> None:
    values = np.random.default_rng(1).exponential(size=57)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=1050, method="percentile", rng=np.random.default_rng(5), batch=100
    ).confidence_interval
    figure = bootstrap_mean(values, seed=5, resamples=1050)
    assert (figure.low, figure.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_missing_values_do_not_count() -> None:
    figure = bootstrap_mean([1.0, float("nan"), 1.0])
    assert (figure.mean, figure.low, figure.high, figure.count) == (1.0, 1.0, 1.0, 2)


def test_no_values_give_nan() -> None:
    assert math.isnan(bootstrap_mean([]).mean)
    assert bootstrap_mean([]).count == 0


def test_holm_as_in_a_worked_example():
    """Four tests at 0.01, 0.04, 0.03, 0.005: times 4, 3, 2, 1 in their order, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0] and holm([]) == []


def test_holm_leaves_out_what_was_not_tested():
    found = holm([0.02, float("nan"), 0.5])
    assert found[0] == pytest.approx(0.04) and np.isnan(found[1]) and found[2] == 0.5


def test_holm_keeps_the_chance_of_any_false_alarm():
    draws = np.random.default_rng(0).uniform(size=(2000, 8))
    alarms = np.mean([min(holm(list(ps))) <= 0.05 for ps in draws])
    assert 0.035 < alarms < 0.062
