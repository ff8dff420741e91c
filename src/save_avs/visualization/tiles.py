"""What contact sheets share: their paper and ink, and pictures that fit a tile."""

from __future__ import annotations

import numpy as np
from PIL import Image

from save_avs.types import U8

BACKGROUND_COLOR, TEXT_COLOR = (255, 255, 255), (43, 47, 54)


def fit_tile(picture: U8, side: int) -> Image.Image:
    """A picture as large as a square tile of ``side`` pixels can hold it, less a line between neighbors."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    factor = (side - 2) / max(image.size)
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))))
