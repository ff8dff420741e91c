"""Text on frames: where it is, how large, and that it can be told from its plate."""

from __future__ import annotations

import numpy as np
import pytest

from save_avs.visualization.overlay import Label, draw_labels


def written(shape: tuple[int, int], *labels: Label) -> np.ndarray:
    image = np.full((*shape, 3), 77, np.uint8)
    draw_labels(image, labels)
    return image


def extent(image: np.ndarray) -> tuple[slice, slice]:
    rows, columns = np.nonzero((image != 77).any(axis=2))
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


@pytest.mark.parametrize("height", [360, 720, 1080, 2160])
def test_text_grows_with_the_frame_and_is_legible(height):
    rows, _ = extent(written((height, height * 16 // 9), Label("#3 0.93", 100, 200, (0, 110, 255))))
    assert rows.stop == 200
    assert 1 / 32 < (rows.stop - rows.start) / height < 1 / 18


@pytest.mark.parametrize("color", [(255, 225, 0), (0, 0, 120), (255, 255, 255), (0, 0, 0)])
def test_ink_contrasts_with_the_plate(color):
    image = written((720, 1280), Label("#3", 100, 200, color))
    pixels = image[extent(image)].reshape(-1, 3)
    assert (pixels == color).all(axis=1).mean() > 0.4
    assert np.abs(pixels.astype(int) - color).sum(axis=1).max() > 380


@pytest.mark.parametrize(("left", "top"), [(0, 0), (630, 2), (639, 359), (300, 359)])
def test_label_is_inside_the_frame(left, top):
    full = written((360, 640), Label("#12 0.93", 200, 200, (0, 110, 255)))
    rows, columns = extent(written((360, 640), Label("#12 0.93", left, top, (0, 110, 255))))
    expected = extent(full)
    assert rows.stop - rows.start == expected[0].stop - expected[0].start
    assert columns.stop - columns.start == expected[1].stop - expected[1].start


def test_labels_at_one_place_do_not_cover_each_other():
    image = written((360, 640), *(Label("#1", 100, 100, color) for color in ((250, 0, 0), (0, 250, 0))))
    one = (written((360, 640), Label("#1", 100, 100, (250, 0, 0))) == (250, 0, 0)).all(axis=2).sum()
    assert (image == (250, 0, 0)).all(axis=2).sum() == one
    assert abs(int((image == (0, 250, 0)).all(axis=2).sum()) - int(one)) < 5


def test_frame_smaller_than_a_label():
    assert (written((6, 5), Label("sounding object 0.93", 2, 2, (250, 0, 0))) != 77).any()
