from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from save_avs.visualization.contact_sheet import Tile, draw_contact_sheet
from save_avs.visualization.overlay import draw_mask


def tile(shape=(40, 80), marked=True) -> Tile:
    mask = np.zeros(shape, bool)
    mask[10:30, 10:30] = marked
    frame = np.full((*shape, 3), 90, np.uint8)
    return Tile(
        (frame, draw_mask(frame, mask)), ("a caption that is much too long to fit below a frame" * 2,)
    )


def test_sheet_shows_each_frame_beside_its_overlay(tmp_path):
    draw_contact_sheet(tmp_path / "sheet.png", [tile(), tile(marked=False)], title="two", columns=6)
    with Image.open(tmp_path / "sheet.png") as image:
        sheet = np.asarray(image.convert("RGB")).astype(int)
    halves = np.split(sheet[:, : sheet.shape[1] // 2 * 2], 2, axis=1)
    orange = [int(((half[..., 0] - half[..., 2]) > 40).sum()) for half in halves]
    assert orange[0] > 1600 and orange[1] == 0
    gray = [int((half == 90).all(axis=2).sum()) for half in halves]
    assert gray[0] > 32_000 and gray[1] > gray[0]


def test_sheet_wraps_samples_into_rows(tmp_path):
    sizes = {}
    for count in (1, 6, 7):
        draw_contact_sheet(tmp_path / f"{count}.png", [tile((30, 20))] * count, title="t", columns=6)
        with Image.open(tmp_path / f"{count}.png") as image:
            sizes[count] = image.size
    assert sizes[1][0] < sizes[6][0] == sizes[7][0] and sizes[1][1] == sizes[6][1] < sizes[7][1]


def test_sheet_without_samples_raises_value_error(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        draw_contact_sheet(tmp_path / "sheet.png", [], title="none", columns=6)
    assert not list(tmp_path.iterdir())
