"""Bootstrap intervals of means."""

from __future__ import annotations

import math

import numpy as np
import pytest

from save_avs.evaluation import bootstrap_mean


def test_the_interval_of_a_normal_sample_is_about_two_standard_errors() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    figure = bootstrap_mean(values)
    assert figure.mean == pytest.approx(values.mean())
    assert figure.high - figure.low == pytest.approx(4 * 0.1 / 20, rel=0.15)
    assert figure.low < figure.mean < figure.high


def test_missing_values_do_not_count() -> None:
    figure = bootstrap_mean([1.0, float("nan"), 1.0])
    assert (figure.mean, figure.low, figure.high, figure.count) == (1.0, 1.0, 1.0, 2)


def test_no_values_give_nan() -> None:
    assert math.isnan(bootstrap_mean([]).mean)
    assert bootstrap_mean([]).count == 0
