"""Pieces of masks against scipy's labeling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from save_avs.datasets.check import component_areas


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.95])
@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (31, 47), (96, 64)])
def test_component_areas_match_scipy(share, shape):
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = rng.random(shape) < share
        labels, _ = ndimage.label(mask, np.ones((3, 3)))  # type: ignore[misc]
        assert sorted(component_areas(mask)) == sorted(np.bincount(labels.ravel())[1:])


def test_component_areas_of_empty_and_full_masks():
    assert component_areas(np.zeros((3, 5), bool)).tolist() == []
    assert component_areas(np.ones((3, 5), bool)).tolist() == [15]


def test_runs_do_not_touch_across_the_row_end():
    mask = np.zeros((2, 6), bool)
    mask[0, 4:] = mask[1, :2] = True
    assert component_areas(mask).tolist() == [2, 2]
