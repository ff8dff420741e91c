"""Class labels as AVSBench-semantic stores them: indices, or colors of a 3-bit palette."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from save_avs.datasets.clip_files import read_image
from save_avs.datasets.storage import StoredFile
from save_avs.errors import DataError
from save_avs.types import U8

_ROUNDS = 3  # 24 bits of color take an index's bits three at a time; 8 bits are spent after three rounds


@cache
def palette() -> U8:
    """The color of every class, u8 [256,3].

    Bits 0, 1, 2 of the index become the highest of R, G and B, bits 3, 4, 5 the next, and so on.

    Source: the palette of PASCAL VOC, which AVSBench-semantic's ``labels_rgb`` uses.
    """
    index = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for turn in range(_ROUNDS):
        for channel in range(3):
            bit = (index >> (3 * turn + channel)) & 1
            colors[:, channel] |= (bit << (7 - turn)).astype(np.uint8)
    return colors


def read_indices(path: StoredFile, classes: int) -> U8:
    """Read ``labels_semantic``: a picture whose one channel is the class, u8 [H,W].

    Raises:
        DataError: when it is missing or broken, has colors, or a class beyond ``classes``.
    """
    image = read_image(path)
    if image.mode not in {"L", "P", "1", "I", "I;16"}:
        raise DataError(f"{path}: is a picture of mode {image.mode}; class indices have one channel")
    return _checked(np.asarray(image), path, classes)


def read_colors(path: StoredFile, classes: int) -> U8:
    """Read ``labels_rgb``: a picture whose colors are the palette's, u8 [H,W].

    Raises:
        DataError: when it is missing or broken, or has a color that no class has.
    """
    rgb = np.asarray(read_image(path).convert("RGB")).astype(np.int64)
    codes = palette().astype(np.int64) @ (1 << 16, 1 << 8, 1)
    order = np.argsort(codes)
    pixels = rgb @ (1 << 16, 1 << 8, 1)  # [H,W]
    place = np.searchsorted(codes[order], pixels).clip(max=len(order) - 1)
    if (codes[order][place] != pixels).any():
        r, g, b = rgb[codes[order][place] != pixels][0]
        raise DataError(f"{path}: has the color ({r}, {g}, {b}), which no class has")
    return _checked(order[place], path, classes)


def color(labels: U8) -> Image.Image:
    """Labels, u8 [H,W], as a picture in the palette's colors."""
    return Image.fromarray(palette()[labels])


def _checked(labels: np.ndarray, path: StoredFile, classes: int) -> U8:
    if labels.size and labels.max() >= classes:
        raise DataError(f"{path}: has label {labels.max()}, beyond the {classes} classes")
    return labels.astype(np.uint8)
