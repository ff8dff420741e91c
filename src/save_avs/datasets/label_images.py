"""Class labels as AVSBench-semantic stores them: indices, or colors of a 3-bit palette.

Readers raise DataError if the file is missing or broken, or has a class or a color that does not exist.
"""

from functools import cache

import numpy as np

from save_avs.datasets.clip_files import read_image
from save_avs.datasets.stored_files import StoredFile
from save_avs.errors import DataError
from save_avs.types import U8

_RGB = (1 << 16, 1 << 8, 1)  # (red, green, blue) to one code


@cache
def palette() -> U8:
    """Return the color of every class, u8 [256,3].

    Bits 0, 1, 2 of the index are the highest of R, G and B, bits 3, 4, 5 the next, and so on.

    Source: the palette of PASCAL VOC, which AVSBench-semantic's ``labels_rgb`` uses.
    """
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")  # [256,8]
    return np.concatenate([np.packbits(bits[:, channel::3], axis=1) for channel in range(3)], axis=1)


def read_indices(file: StoredFile, classes: int) -> U8:
    """Read an image of ``labels_semantic``, whose one channel is the class, u8 [H,W]."""
    image = read_image(file)
    if image.mode not in {"L", "P", "1", "I", "I;16"}:
        raise DataError(f"{file}: image of mode {image.mode}; class indices have one channel")
    return _checked(np.asarray(image), file, classes)


def read_colors(file: StoredFile, classes: int, *, foreign_as_background: bool = False) -> U8:
    """Read an image of ``labels_rgb``, whose colors are the palette's, as class indices u8 [H,W].

    With ``foreign_as_background``, colors of no class are background instead of an error.
    """
    rgb = np.asarray(read_image(file).convert("RGB")).astype(np.int64)
    codes = palette().astype(np.int64) @ _RGB
    order = np.argsort(codes)
    pixels = rgb @ _RGB  # [H,W]
    position = np.searchsorted(codes[order], pixels).clip(max=len(order) - 1)
    labels = order[position]
    unknown = codes[labels] != pixels
    if foreign_as_background:
        return np.where(unknown | (labels >= classes), 0, labels).astype(np.uint8)
    if unknown.any():
        r, g, b = rgb[unknown][0]
        raise DataError(f"{file}: color ({r}, {g}, {b}) is not in the palette")
    return _checked(labels, file, classes)


def _checked(labels: np.ndarray, file: StoredFile, classes: int) -> U8:
    if labels.size and labels.max() >= classes:
        raise DataError(f"{file}: label {labels.max()}, but there are {classes} classes")
    return labels.astype(np.uint8)
