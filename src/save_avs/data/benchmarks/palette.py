"""Class labels as AVSBench-semantic stores them: indices, or colours of a 3-bit palette."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from save_avs.data.benchmarks.files import read_picture
from save_avs.data.file import File
from save_avs.errors import DataError
from save_avs.types import U8

_ROUNDS = 3  # 24 bits of colour take an index's bits three at a time; 8 bits are spent after three rounds


@cache
def palette() -> U8:
    """The colour of every class, u8 [256,3].

    Bits 0, 1, 2 of the index become the highest of R, G and B, bits 3, 4, 5 the next, and so on.

    Source: the palette of PASCAL VOC, which AVSBench-semantic's ``labels_rgb`` uses.
    """
    index = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for turn in range(_ROUNDS):
        for channel in range(3):
            bit = (index >> (3 * turn + channel)) & 1
            colours[:, channel] |= (bit << (7 - turn)).astype(np.uint8)
    return colours


def read_indices(path: File, classes: int) -> U8:
    """Read ``labels_semantic``: a picture whose one channel is the class, u8 [H,W].

    Raises:
        DataError: when it is missing or broken, has colours, or a class beyond ``classes``.
    """
    image = read_picture(path)
    if image.mode not in {"L", "P", "1", "I", "I;16"}:
        raise DataError(f"{path}: is a picture of mode {image.mode}; class indices have one channel")
    return _checked(np.asarray(image), path, classes)


def read_colours(path: File, classes: int) -> U8:
    """Read ``labels_rgb``: a picture whose colours are the palette's, u8 [H,W].

    Raises:
        DataError: when it is missing or broken, or has a colour that no class has.
    """
    rgb = np.asarray(read_picture(path).convert("RGB")).astype(np.int64)
    codes = palette().astype(np.int64) @ (1 << 16, 1 << 8, 1)
    order = np.argsort(codes)
    pixels = rgb @ (1 << 16, 1 << 8, 1)  # [H,W]
    place = np.searchsorted(codes[order], pixels).clip(max=len(order) - 1)
    if (codes[order][place] != pixels).any():
        r, g, b = rgb[codes[order][place] != pixels][0]
        raise DataError(f"{path}: has the colour ({r}, {g}, {b}), which no class has")
    return _checked(order[place], path, classes)


def colour(labels: U8) -> Image.Image:
    """Labels, u8 [H,W], as a picture in the palette's colours."""
    return Image.fromarray(palette()[labels])


def _checked(labels: np.ndarray, path: File, classes: int) -> U8:
    if labels.size and labels.max() >= classes:
        raise DataError(f"{path}: has label {labels.max()}, beyond the {classes} classes")
    return labels.astype(np.uint8)
