"""Contact sheets: samples in rows and columns, each a few images side by side with text below them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from save_avs._files import atomic_path
from save_avs.types import U8
from save_avs.visualization.overlay import MASK_COLOR, TARGET_COLOR

_BACKGROUND_COLOR, _TEXT_COLOR = (255, 255, 255), (43, 47, 54)
_GAP, _LINE, _TITLE, _CHARACTER = 12, 18, 34, 6  # pixels

Legend = Sequence[tuple[str, tuple[int, int, int]]]  # text and color
TARGET_LEGEND: Legend = (("target", TARGET_COLOR), ("prediction", MASK_COLOR))


class Tile(NamedTuple):
    """One sample of a contact sheet: images u8 [H,W,3] side by side, and lines of text below them."""

    images: Sequence[U8]
    lines: Sequence[str] = ()


def draw_contact_sheet(
    path: str | Path,
    tiles: Sequence[Tile],
    *,
    title: str,
    columns: int,
    side: int = 200,
    legend: Legend = (),
) -> None:
    """Write samples, row by row, as a PNG, atomically; all have as many images and lines as the first.

    ``columns`` is how many a row has at most, ``side`` the pixels of the square that each image is fitted
    into. A ValueError without samples.
    """
    if not tiles:
        raise ValueError("a contact sheet needs at least one sample")
    columns = min(columns, len(tiles))
    width = len(tiles[0].images) * side + _GAP
    height = side + _LINE * len(tiles[0].lines) + _GAP
    header = _TITLE + (_LINE if legend else 0)
    size = (columns * width + _GAP, header + -(-len(tiles) // columns) * height)
    sheet = Image.new("RGB", size, _BACKGROUND_COLOR)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    pen.text((_GAP, 8), title, _TEXT_COLOR, ImageFont.load_default(15))
    for k, (text, color) in enumerate(legend):
        pen.text((_GAP + k * side, 8 + _LINE), text, color, font)
    for k, tile in enumerate(tiles):
        x, y = _GAP + k % columns * width, header + k // columns * height
        for i, image in enumerate(tile.images):
            whole, inside = Image.fromarray(np.ascontiguousarray(image)), (side - 2, side - 2)
            fitted = ImageOps.pad(whole, inside, color=_BACKGROUND_COLOR)
            sheet.paste(fitted, (x + i * side + 1, y + 1))
        for line, text in enumerate(tile.lines):
            pen.text((x, y + side + 2 + _LINE * line), _shorten(text, width // _CHARACTER), _TEXT_COLOR, font)
    with atomic_path(path) as part:
        sheet.save(part)


def _shorten(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"
