"""Many channels as a color: the three directions in which tokens differ most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from save_avs.types import F32, F64, U8

_CUT = 2.0  # per cent at either end of a color's range that are cut off


def as_colors(grids: Sequence[F32]) -> list[U8]:
    """Grids of tokens [h,w,C] to pictures u8 [h,w,3] on one basis: alike in color is alike, in all of them.

    The basis is that of the principal components of all tokens together; a component's sign is chosen so
    that its largest weight is positive, and its range so that few tokens pass it.
    """
    tokens = np.concatenate([grid.reshape(-1, grid.shape[-1]) for grid in grids]).astype(np.float64)
    mean = tokens.mean(axis=0)
    basis = _principal(tokens - mean)  # [C,3]
    places = (tokens - mean) @ basis
    low, high = np.percentile(places, [_CUT, 100 - _CUT], axis=0)
    span = np.where(high > low, high - low, 1.0)
    return [_colors(((grid - mean) @ basis - low) / span) for grid in grids]


def _principal(tokens: F64) -> F64:
    """The first three principal directions of centered tokens [N,C], [C,3]."""
    _, _, rows = np.linalg.svd(tokens, full_matrices=False)
    basis = rows[:3]
    largest = np.abs(basis).argmax(axis=1)
    return (basis * np.sign(basis[np.arange(3), largest])[:, None]).T


def _colors(places: F64) -> U8:
    return np.round(255 * places.clip(0, 1)).astype(np.uint8)
