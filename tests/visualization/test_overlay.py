from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from save_avs.visualization import draw_mask
from save_avs.visualization.overlay import MASK_COLOR


def picture(height=40, width=50, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_an_empty_mask_changes_nothing():
    frame = picture()
    out = draw_mask(frame, np.zeros((40, 50), bool))
    np.testing.assert_array_equal(out, frame)
    assert out is not frame


def test_inside_is_tinted_the_edge_is_bright_the_rest_is_left():
    frame = picture(240, 320)
    before = frame.copy()
    mask = np.zeros((240, 320), bool)
    mask[50:150, 60:200] = True
    out = draw_mask(frame, mask)
    np.testing.assert_array_equal(frame, before)
    np.testing.assert_array_equal(out[~mask], frame[~mask])
    core = np.s_[51:149, 61:199]
    np.testing.assert_array_equal(out[core], frame[core] // 2 + np.array(MASK_COLOR, np.uint8) // 2)
    outline = mask.copy()
    outline[core] = False
    assert len(np.unique(out[outline], axis=0)) == 1
    assert (out[50, 60].astype(int) >= MASK_COLOR).all()


def test_the_border_of_the_picture_is_no_edge():
    out = draw_mask(np.zeros((240, 320, 3), np.uint8), np.ones((240, 320), bool))
    assert len(np.unique(out.reshape(-1, 3), axis=0)) == 1


def test_the_outline_grows_with_the_picture():
    def edge_pixels(height):
        mask = np.zeros((height, height), bool)
        mask[:, height // 2 :] = True
        row = draw_mask(np.zeros((height, height, 3), np.uint8), mask)[height // 2, :, 0]
        return int((row == row.max()).sum())

    assert [edge_pixels(h) for h in (100, 240, 480, 1080)] == [1, 1, 2, 4]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_equals_the_plain_formula_pixel_by_pixel(height, width, data):
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(bits, bool).reshape(height, width)
    frame = picture(height, width, seed=height * 13 + width)
    color = (10, 200, 90)
    expected = frame.copy()
    for y, x in zip(*np.nonzero(mask), strict=True):
        beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        edge = any(0 <= j < height and 0 <= i < width and not mask[j, i] for j, i in beside)
        expected[y, x] = [
            round(c + (255 - c) * 0.7) if edge else v // 2 + c // 2
            for v, c in zip(frame[y, x], color, strict=True)
        ]
    np.testing.assert_array_equal(draw_mask(frame, mask, color), expected)


@pytest.mark.parametrize(
    ("frame", "mask"),
    [
        (picture(), np.zeros((40, 49), bool)),
        (picture(), np.zeros((40, 50), np.uint8)),
        (picture().astype(np.float32), np.zeros((40, 50), bool)),
    ],
)
def test_misfits_are_refused(frame, mask):
    with pytest.raises(ValueError, match="bool"):
        draw_mask(frame, mask)


def test_a_frame_takes_about_a_millisecond():
    frame = picture(360, 640)
    y, x = np.mgrid[:360, :640]
    mask = (y - 180) ** 2 + (x - 320) ** 2 < 150**2
    spent = []
    for _ in range(30):
        start = time.process_time()  # the processor's time: a busy machine does not fail the test
        draw_mask(frame, mask)
        spent.append(time.process_time() - start)
    assert np.median(spent) < 0.004  # the goal is 2 ms; twice that for slower processors
