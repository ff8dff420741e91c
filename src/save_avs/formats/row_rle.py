"""Run lengths by rows, which several tools count in, each with a code of its own around them."""

from __future__ import annotations

import numpy as np

from save_avs.types import Bool


def row_run_lengths(mask: Bool) -> list[int]:
    """Lengths of the runs of equal pixels in a mask, bool [H,W], row after row, from ``mask[0,0]`` on."""
    flat = mask.reshape(-1)
    starts = np.flatnonzero(np.diff(flat)) + 1
    return np.diff(np.concatenate([[0], starts, [flat.size]])).tolist()
