"""Contact sheets: samples in rows and columns, each without and with its mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from save_avs._files import atomic_path
from save_avs.types import U8, Bool
from save_avs.visualization.overlay import draw_mask

BACKGROUND_COLOR, TEXT_COLOR = (255, 255, 255), (43, 47, 54)
_TILE, _GAP, _LINE, _TITLE = 224, 10, 20, 34  # pixels


@dataclass(frozen=True)
class Tile:
    """One sample of a contact sheet.

    Attributes:
        caption: one line below it.
        frame: RGB, u8 [H,W,3].
        mask: pixels to mark, bool [H,W].
    """

    caption: str
    frame: U8
    mask: Bool


def fit_tile(image: U8, side: int) -> Image.Image:
    """Resize an image, u8 [H,W,3], to fit a square tile of ``side`` pixels, less a line between tiles."""
    tile = Image.fromarray(np.ascontiguousarray(image))
    scale = (side - 2) / max(tile.size)
    return tile.resize((max(1, round(tile.width * scale)), max(1, round(tile.height * scale))))


def draw_contact_sheet(path: str | Path, tiles: Sequence[Tile], *, title: str, columns: int = 6) -> None:
    """Write samples as a PNG: each frame, and below it the frame with its mask.

    Raises:
        ValueError: no samples.
    """
    if not tiles:
        raise ValueError("a contact sheet needs at least one sample")
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    cell = 2 * _TILE + _LINE + _GAP
    size = (columns * (_TILE + _GAP) + _GAP, rows * cell + _TITLE + _GAP)
    sheet = Image.new("RGB", size, BACKGROUND_COLOR)
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, _GAP), title, TEXT_COLOR, ImageFont.load_default(16))
    for k, tile in enumerate(tiles):
        x, y = _GAP + k % columns * (_TILE + _GAP), _TITLE + k // columns * cell
        for row, image in enumerate((tile.frame, draw_mask(tile.frame, tile.mask))):
            small = fit_tile(image, _TILE)
            left, top = (_TILE - small.width) // 2, (_TILE - small.height) // 2
            sheet.paste(small, (x + left, y + row * _TILE + top))
        pen.text((x, y + 2 * _TILE + 2), _shorten(tile.caption), TEXT_COLOR, ImageFont.load_default(12))
    with atomic_path(path) as part:
        sheet.save(part)


def _shorten(caption: str) -> str:
    return caption if len(caption) <= 36 else caption[:35] + "…"
