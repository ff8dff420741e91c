"""A contact sheet: samples in rows and columns, each as it is and with its mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from save_avs._files import atomic_path
from save_avs.types import U8, Bool
from save_avs.visualization.overlay import draw_mask
from save_avs.visualization.tiles import BACKGROUND_COLOR, TEXT_COLOR, fit_tile

_TILE, _GAP, _LINE, _TITLE = 224, 10, 20, 34  # pixels


@dataclass(frozen=True)
class Tile:
    """A sample.

    Attributes:
        caption: one line below it.
        frame: RGB, u8 [H,W,3].
        mask: pixels to mark, bool [H,W].
    """

    caption: str
    frame: U8
    mask: Bool


def draw_contact_sheet(path: str | Path, tiles: Sequence[Tile], *, title: str, columns: int = 6) -> None:
    """Draw samples as a PNG, written whole or not at all: the picture above, the marked one below it.

    Raises:
        ValueError: when there is no sample.
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
        for row, picture in enumerate((tile.frame, draw_mask(tile.frame, tile.mask))):
            small = fit_tile(picture, _TILE)
            left, top = (_TILE - small.width) // 2, (_TILE - small.height) // 2
            sheet.paste(small, (x + left, y + row * _TILE + top))
        pen.text((x, y + 2 * _TILE + 2), _short(tile.caption), TEXT_COLOR, ImageFont.load_default(12))
    with atomic_path(path) as part:
        sheet.save(part)


def _short(caption: str) -> str:
    return caption if len(caption) <= 36 else caption[:35] + "…"
