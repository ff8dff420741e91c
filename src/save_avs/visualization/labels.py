"""Text on frames, in Pillow's own font: legible at any frame size, on a plate of the mask's color."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from save_avs.types import U8

_HEIGHT = 1 / 30  # of the text, share of the frame's shorter side: 24 pixels at 720p
_MIN_HEIGHT = 10  # pixels


class Label(NamedTuple):
    """A text to write above a point, in pixels, on a plate of a color."""

    text: str
    left: int
    top: int
    color: tuple[int, int, int]


def draw_labels(image: U8, labels: Sequence[Label]) -> None:
    """Write labels into an image, u8 [H,W,3], in place: inside the frame, and beside earlier ones."""
    height, width = image.shape[:2]
    size = max(_MIN_HEIGHT, round(min(height, width) * _HEIGHT))
    bottoms: list[tuple[int, int, int, int]] = []
    for label in labels:
        plate = _plate(label.text, size, label.color)[:height, :width]
        rows, columns = plate.shape[:2]
        left = min(label.left, width - columns)
        top = max(0, min(label.top - rows, height - rows))
        for other in bottoms:  # in the order drawn: below each one that is in the way
            if left < other[2] and other[0] < left + columns and top < other[3] and other[1] < top + rows:
                top = min(other[3], height - rows)
        image[top : top + rows, left : left + columns] = plate
        bottoms.append((left, top, left + columns, top + rows))


@lru_cache(maxsize=256)
def _plate(text: str, size: int, color: tuple[int, int, int]) -> U8:
    """Draw a text on a plate of a color, u8 [h,w,3]: black or white, whichever contrasts more."""
    font = ImageFont.load_default(size)
    left, _, right, _ = font.getbbox(text)
    margin = max(2, size // 5)
    plate = Image.new("RGB", (round(right - left) + 2 * margin, round(size * 1.2) + margin), color)
    luminance = np.dot(color, (0.299, 0.587, 0.114))
    ink = (0, 0, 0) if luminance > 128 else (255, 255, 255)
    center = (plate.width / 2, plate.height / 2)
    ImageDraw.Draw(plate).text(center, text, fill=ink, font=font, anchor="mm")
    return np.asarray(plate)
