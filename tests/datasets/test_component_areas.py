"""Pieces of masks against scipy's labeling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from save_avs.datasets.check import component_areas


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.95])
@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (31, 47), (96, 64)])
def test_areas_are_those_of_scipys_labels(share, shape):
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = rng.random(shape) < share
        labels, _ = ndimage.label(mask, np.ones((3, 3)))  # type: ignore[misc]
        assert sorted(component_areas(mask)) == sorted(np.bincount(labels.ravel())[1:])


def test_nothing_and_everything():
    assert component_areas(np.zeros((3, 5), bool)).tolist() == []
    assert component_areas(np.ones((3, 5), bool)).tolist() == [15]


def test_a_run_that_ends_a_row_does_not_touch_the_one_that_begins_the_next():
    mask = np.zeros((2, 6), bool)
    mask[0, 4:] = mask[1, :2] = True
    assert component_areas(mask).tolist() == [2, 2]
