"""Mel filters: triangles over the bins of a spectrum, in the ways that published networks know them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from save_avs.types import F64

Scale = Literal["htk", "slaney"]
Axis = Literal["mel", "hertz"]

_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0  # Slaney's scale is straight below, logarithmic above
_OCTAVES = np.log(6.4) / 27


@dataclass(frozen=True)
class MelScale:
    """Overlapping triangles, evenly spaced on a mel scale.

    Attributes:
        count: how many.
        low, high: where the first begins and the last ends, Hz.
        scale: HTK's, logarithmic throughout, or Slaney's, straight below 1 kHz.
        sides: the axis over which the sides of a triangle are straight lines.
        equal_area: each has area 1 over Hz (librosa's norm "slaney"); else each peaks at 1.
    """

    count: int
    low: float
    high: float
    scale: Scale
    sides: Axis
    equal_area: bool = False


@cache
def mel_filters(bands: MelScale, sample_rate: int, fft: int) -> F64:
    """Weights of each bin of a spectrum in each band, [fft/2+1,bands].

    Source: HTK's and Slaney's (Auditory Toolbox) mel scales.
    """
    lowest, highest = to_mel(np.array([bands.low, bands.high]), bands.scale)
    edges = np.linspace(lowest, highest, bands.count + 2)
    bins = np.linspace(0.0, sample_rate / 2, fft // 2 + 1)
    hertz = to_hertz(edges, bands.scale)
    if bands.sides == "mel":
        bins = to_mel(bins, bands.scale)
    else:
        edges = hertz
    low, center, high = edges[:-2], edges[1:-1], edges[2:]
    bins = bins[:, None]  # [fft/2+1,1]
    filters = np.minimum((bins - low) / (center - low), (high - bins) / (high - center)).clip(min=0.0)
    return filters * 2 / (hertz[2:] - hertz[:-2]) if bands.equal_area else filters


def to_mel(hertz: F64, scale: Scale) -> F64:
    """Frequencies on a mel scale."""
    if scale == "htk":
        return 1127.0 * np.log1p(hertz / 700.0)
    above = _BREAK_MEL + np.log(np.maximum(hertz, _BREAK_HZ) / _BREAK_HZ) / _OCTAVES
    return np.where(hertz < _BREAK_HZ, hertz * _BREAK_MEL / _BREAK_HZ, above)


def to_hertz(mel: F64, scale: Scale) -> F64:
    """The inverse of `to_mel`."""
    if scale == "htk":
        return 700.0 * np.expm1(mel / 1127.0)
    above = _BREAK_HZ * np.exp((np.maximum(mel, _BREAK_MEL) - _BREAK_MEL) * _OCTAVES)
    return np.where(mel < _BREAK_MEL, mel * _BREAK_HZ / _BREAK_MEL, above)
