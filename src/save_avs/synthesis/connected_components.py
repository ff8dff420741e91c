"""Connected pieces of a mask."""

from __future__ import annotations

import numpy as np

from save_avs.types import I64, Bool


def component_areas(mask: Bool) -> I64:
    """Pixels of each piece of a mask, bool [H,W]; pixels that touch at a corner are of one piece.

    A row of the mask is a few runs; runs of neighboring rows that touch are joined.
    """
    row, start, end = _runs(mask)
    stride = mask.shape[1] + 2  # so that a run touches none of a row beyond the next
    first = np.searchsorted(row * stride + end, (row + 1) * stride + start)
    last = np.searchsorted(row * stride + start, (row + 1) * stride + end, side="right")
    piece = list(range(len(row)))

    def found(run: int) -> int:
        while piece[run] != run:
            piece[run] = run = piece[piece[run]]
        return run

    for above in range(len(row)):
        for below in range(first[above], last[above]):
            piece[found(below)] = found(above)
    areas = np.bincount([found(run) for run in piece], weights=end - start)
    return areas[areas > 0].astype(np.int64)


def _runs(mask: Bool) -> tuple[I64, I64, I64]:
    """Row, first column and the column after the last of each run of marked pixels, row by row."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(edges == 1)
    return row, start, np.nonzero(edges == -1)[1]
