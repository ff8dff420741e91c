"""COCO's compressed run lengths, taken apart without decoding the mask."""

from __future__ import annotations

import numpy as np

_DIGIT, _MORE, _SIGN = 0x1F, 0x20, 0x10
_LONGEST = 12  # digits of five bits that fit in a number of 64 bits


def coded_pixels(code: bytes) -> int | None:
    """How many pixels a code speaks of; None where it is no code, or a torn one.

    Source: pycocotools, ``rleToString``: five bits a character, lowest first; from the fourth run on, the
    difference to the run before the last.
    """
    digits = np.frombuffer(code, np.uint8).astype(np.int64) - ord("0")
    ends = np.flatnonzero((digits & _MORE) == 0)
    if not len(ends) or ends[-1] != len(digits) - 1 or digits.min() < 0 or digits.max() > _DIGIT + _MORE:
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST:
        return None
    places = np.arange(len(digits)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((digits & _DIGIT) << 5 * places, starts)
    runs[(digits[ends] & _SIGN) != 0] -= 1 << 5 * lengths[(digits[ends] & _SIGN) != 0]
    runs[1::2], runs[2::2] = np.cumsum(runs[1::2]), np.cumsum(runs[2::2])
    return int(runs.sum()) if runs.min() >= 0 else None
