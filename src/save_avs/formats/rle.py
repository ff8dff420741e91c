"""COCO's compressed run lengths, read far enough to know that they stand for a mask of some size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_PIXELS = 1 << 28  # of a mask; a frame of 16K has half as many
_FIRST = 48  # the character that stands for 0
_MORE, _BITS = 0x20, 0x1F  # of a character's six bits: whether another follows; what it adds
_LONGEST = 6  # characters of a run: 30 bits


def check_rle(counts: bytes, size: tuple[int, int]) -> None:
    """See whether a code decodes to a mask of ``size`` (H, W).

    Raises:
        ValueError: when it does not, or the size is none that a mask can have.
    """
    height, width = size
    if height < 0 or width < 0 or height * width > MOST_PIXELS:
        raise ValueError(f"a mask of {height} x {width} pixels")
    runs = decode_run_lengths(counts)
    if (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"run lengths that do not fill {height} x {width} pixels")


def decode_run_lengths(counts: bytes) -> NDArray[np.int64]:
    """Lengths of the runs in a code, by columns, the first one unmarked (cocoapi's ``rleFrString``).

    Raises:
        ValueError: when it is no such code.
    """
    digits = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - _FIRST
    if not len(digits):
        return digits
    ends = np.flatnonzero(digits & _MORE == 0)
    starts = np.concatenate([[0], ends + 1])
    if digits.min() < 0 or digits.max() > 0x3F or starts[-1] != len(digits):
        raise ValueError("run lengths in other characters, or cut short")
    lengths = np.diff(starts)
    if lengths.max() > _LONGEST:
        raise ValueError("a run longer than any picture")
    place = 5 * (np.arange(len(digits)) - np.repeat(starts[:-1], lengths))
    runs = np.add.reduceat((digits & _BITS) << place, starts[:-1])
    runs -= np.where(digits[ends] & 0x10, 1 << (5 * lengths), 0)  # two's complement
    for first in (1, 2):  # from the fourth on a run is told by what it has more than the last but one
        runs[first::2] = np.cumsum(runs[first::2])
    return runs
