"""The contact sheet of a benchmark: best, median and worst clips, truth beside prediction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from save_avs._files import atomic_path
from save_avs.evaluation.results import Example
from save_avs.visualization.overlay import MASK_COLOR, TARGET_COLOR, draw_mask
from save_avs.visualization.tiles import BACKGROUND_COLOR, TEXT_COLOR, fit_tile

_SIDE, _GAP, _LINE = 200, 12, 20  # pixels: a picture, the space between tiles, a line of text


def draw_sheet(path: str | Path, examples: Sequence[Example], title: str) -> None:
    """Write a PNG, whole or not at all: a row of clips of each kind.

    Each clip is its frame twice: what should be marked in blue, what the model marked in amber.
    """
    kinds = list(dict.fromkeys(e.kind for e in examples))
    across = max(sum(e.kind == kind for e in examples) for kind in kinds)
    tile = 2 * _SIDE + _GAP
    row = _SIDE + 2 * _LINE + _GAP
    sheet = Image.new("RGB", (across * tile + _GAP, 2 * _LINE + len(kinds) * row + _GAP), BACKGROUND_COLOR)
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, 6), title, TEXT_COLOR, ImageFont.load_default(15))
    pen.text((_GAP, 6 + _LINE), "what should be marked", TARGET_COLOR, ImageFont.load_default(12))
    pen.text((_GAP + 160, 6 + _LINE), "what the model marked", MASK_COLOR, ImageFont.load_default(12))
    for y, kind in enumerate(kinds):
        for x, example in enumerate(e for e in examples if e.kind == kind):
            corner = (_GAP + x * tile, 2 * _LINE + _GAP + y * row)
            _draw_tile(sheet, pen, corner, example)
    with atomic_path(path) as part:
        sheet.save(part)


def _draw_tile(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, corner: tuple[int, int], example: Example
) -> None:
    left, top = corner
    pictures = (
        draw_mask(example.picture, example.truth, TARGET_COLOR),
        draw_mask(example.picture, example.found),
    )
    for k, picture in enumerate(pictures):
        small = fit_tile(picture, _SIDE)
        sheet.paste(small, (left + k * _SIDE + (_SIDE - small.width) // 2, top + (_SIDE - small.height) // 2))
    name = example.name if len(example.name) <= 44 else example.name[:43] + "…"
    said = f"{example.kind}: IoU of this frame {100 * example.iou:.1f} %"
    for line, text in enumerate((said, name)):
        pen.text((left, top + _SIDE + 3 + 17 * line), text, TEXT_COLOR, ImageFont.load_default(12))
