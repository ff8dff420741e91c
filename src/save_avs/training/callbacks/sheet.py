"""The contact sheet of a validation: its first frames, truth and find side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from save_avs._files import atomic_path
from save_avs.training.callbacks.base import ValidationImage
from save_avs.training.callbacks.pictures import panels
from save_avs.visualization.contact_sheet import BACKGROUND_COLOR, TEXT_COLOR
from save_avs.visualization.overlay import MASK_COLOR, TARGET_COLOR

_COLUMNS, _SIDE, _GAP, _LINE = 2, 160, 12, 18  # tiles across; pixels: a panel, between tiles, a line of text
_GRAY = (120, 124, 130)
_LEGEND = (("truth", TARGET_COLOR), ("found", MASK_COLOR), ("probability, black 0, white 1", _GRAY))


def draw_pictures(path: Path, pictures: Sequence[ValidationImage], title: str) -> None:
    """Draw pictures as a PNG, written whole or not at all: the truth, the mask found, its probabilities."""
    columns = min(_COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    wide, tall = 3 * _SIDE + _GAP, _SIDE + _LINE + _GAP
    head = 2 * _LINE + _GAP
    sheet = Image.new("RGB", (columns * wide + _GAP, head + rows * tall), BACKGROUND_COLOR)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    pen.text((_GAP, 6), title, TEXT_COLOR, ImageFont.load_default(14))
    for k, (text, color) in enumerate(_LEGEND):
        pen.text((_GAP + k * _SIDE, 6 + _LINE), text, color, font)
    for k, picture in enumerate(pictures):
        x, y = _GAP + k % columns * wide, head + k // columns * tall
        sheet.paste(Image.fromarray(panels(picture)).resize((3 * _SIDE, _SIDE)), (x, y))
        pen.text((x, y + _SIDE + 2), picture.name[:64], TEXT_COLOR, font)
    with atomic_path(path) as part:
        sheet.save(part)
