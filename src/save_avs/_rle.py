"""Run-length codes of binary masks: COCO's compressed run lengths, and plain run lengths by rows."""

import numpy as np
from numpy.typing import NDArray

MAX_PIXELS = 1 << 28  # of a mask; a 16K frame has half as many
_ZERO = 48  # the character that codes 0
_MORE, _SIGN, _BITS = 0x20, 0x10, 0x1F  # of a character's six bits: another one follows; sign; value
_MAX_CHARACTERS = 6  # of a run: 30 bits

Mask = NDArray[np.bool_]
Runs = NDArray[np.int64]


def encode_rle(mask: Mask) -> bytes:
    """Encode a mask, bool [H,W], as compressed COCO run lengths (cocoapi's ``rleToString``).

    Runs count pixels column by column, the first run unmarked. From the fourth run on, the difference to the
    last run but one is coded: five bits a character, the low ones first, each plus 48.
    """
    runs = _runs(mask.T.reshape(-1))
    return _encode_runs(np.concatenate([[0], runs]) if mask.size and mask[0, 0] else runs)


def encode_marked_runs(starts: Runs, ends: Runs, pixels: int) -> bytes:
    """Encode the mask of so many pixels whose marked ones are in runs, i64 [R], as `encode_rle` does.

    Runs count column by column, are in order, and may touch.
    """
    apart = starts[1:] > ends[:-1]
    starts, ends = starts[np.append(True, apart)], ends[np.append(apart, True)]
    bounds = np.stack([starts, ends], axis=1).reshape(-1)
    runs = np.diff(bounds, prepend=0, append=pixels)
    return _encode_runs(runs if runs[-1] else runs[:-1])


def _encode_runs(runs: Runs) -> bytes:
    runs[3:] -= runs[1:-2].copy()
    bits = 5 * np.arange(_MAX_CHARACTERS)
    # A run takes as many characters as hold it with its sign.
    lengths = 1 + ((runs[:, None] >= 1 << (bits + 4)) | (runs[:, None] < -1 << (bits + 4))).sum(axis=1)
    place = np.arange(_MAX_CHARACTERS)
    characters = (runs[:, None] >> bits & _BITS) + np.where(place < lengths[:, None] - 1, _MORE, 0) + _ZERO
    return characters[place < lengths[:, None]].astype(np.uint8).tobytes()


def find_component_runs(mask: Mask) -> tuple[Runs, Runs, Runs]:
    """Separate a mask, bool [H,W], into its 8-connected components.

    Returns:
        Start and end of each run of marked pixels, counted column by column, and the number of its component,
        from 0 on; i64 [R] each.
    """
    height, width = mask.shape
    columns = np.zeros((width, height + 2), dtype=np.bool_)  # each between two unmarked pixels
    columns[:, 1:-1] = mask.T
    edges = np.flatnonzero(columns.reshape(-1)[1:] != columns.reshape(-1)[:-1]).reshape(-1, 2)
    start, end = edges.T  # a run touches those of the next column only
    first = np.searchsorted(end, start + height + 2)
    touching = np.searchsorted(start, end + height + 2, side="right") - first
    left = np.repeat(np.arange(len(start)), touching)
    right = np.arange(len(left)) + np.repeat(first - np.cumsum(touching) + touching, touching)
    component = np.unique(_join(len(start), left, right), return_inverse=True)[1]
    padding = 2 * (start // (height + 2))
    return start - padding, end - padding, component


def _join(count: int, left: Runs, right: Runs) -> Runs:
    """Return the smallest of the nodes that pairs of them connect with each of so many nodes, i64 [count].

    Source: Shiloach and Vishkin, "An O(log n) parallel connectivity algorithm" (1982): hook, then jump.
    """
    root = np.arange(count)
    while True:
        before = root.copy()
        lower = np.minimum(root[left], root[right])
        np.minimum.at(root, before[left], lower)
        np.minimum.at(root, before[right], lower)
        root = root[root]
        if (root == before).all():
            return root


def decode_rle(counts: bytes, size: tuple[int, int]) -> Mask:
    """Decode compressed COCO run lengths into a mask of ``size`` (H, W), bool [H,W].

    Raises:
        ValueError: the code is malformed, or of another size.
    """
    runs = checked_run_lengths(counts, size)
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size[::-1]).T


def rle_area(counts: bytes) -> int:
    """Count the marked pixels of a code; a ValueError if it is malformed."""
    return int(decode_run_lengths(counts)[1::2].sum())


def rle_bounding_box(counts: bytes, size: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns that the marked pixels of a code span, without decoding it; empty for none.

    Raises:
        ValueError: the code is malformed, or of another size than ``size`` (H, W).
    """
    runs = checked_run_lengths(counts, size)
    ends = np.cumsum(runs)
    marked = (np.arange(len(runs)) % 2 == 1) & (runs > 0)
    first, last = (ends - runs)[marked], ends[marked] - 1
    if not len(first):
        return slice(0, 0), slice(0, 0)
    height = size[0]
    columns = slice(int(first[0] // height), int(last[-1] // height) + 1)
    if (first // height != last // height).any():  # a run that continues in the next column has both ends
        return slice(0, height), columns
    return slice(int((first % height).min()), int((last % height).max()) + 1), columns


def checked_run_lengths(counts: bytes, size: tuple[int, int]) -> Runs:
    """Return the run lengths of a code that decodes to a mask of ``size`` (H, W).

    Raises:
        ValueError: the code does not, or no mask can have that size.
    """
    height, width = size
    if height < 0 or width < 0 or height * width > MAX_PIXELS:
        raise ValueError(f"a mask of {height} x {width} pixels")
    runs = decode_run_lengths(counts)
    if (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"run lengths that do not fill {height} x {width} pixels")
    return runs


def decode_run_lengths(counts: bytes) -> Runs:
    """Return the run lengths of a code, by columns, the first one unmarked (cocoapi's ``rleFrString``).

    Raises:
        ValueError: the code is malformed.
    """
    digits = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - _ZERO
    if not len(digits):
        return digits
    ends = np.flatnonzero(digits & _MORE == 0)
    starts = np.concatenate([[0], ends + 1])
    if digits.min() < 0 or digits.max() > 0x3F or starts[-1] != len(digits):
        raise ValueError("run lengths with invalid characters, or truncated")
    lengths = np.diff(starts)
    if lengths.max() > _MAX_CHARACTERS:
        raise ValueError("a run longer than any frame")
    shift = 5 * (np.arange(len(digits)) - np.repeat(starts[:-1], lengths))
    runs = np.add.reduceat((digits & _BITS) << shift, starts[:-1])
    runs -= np.where(digits[ends] & _SIGN, 1 << (5 * lengths), 0)  # two's complement
    for first in (1, 2):  # from the fourth on, a run is coded as the difference to the last run but one
        runs[first::2] = np.cumsum(runs[first::2])
    return runs


def row_run_lengths(mask: Mask) -> list[int]:
    """Return the lengths of the runs of equal pixels of a mask, bool [H,W], row by row."""
    return _runs(mask.reshape(-1)).tolist()


def _runs(flat: Mask) -> Runs:
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return np.diff(np.concatenate([[0], starts, [flat.size]]))
