"""Mel filter banks in the variants that published networks were trained with."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from save_avs.types import F64

MelScale = Literal["htk", "slaney"]

_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0  # Slaney's scale is linear below, logarithmic above
_LOG_STEP = np.log(6.4) / 27


@dataclass(frozen=True)
class MelFilterbank:
    """Overlapping triangles, evenly spaced on a mel scale.

    Attributes:
        n_mels: number of bands.
        f_min, f_max: start of the first band and end of the last, Hz.
        scale: HTK's, logarithmic throughout, or Slaney's, linear below 1 kHz.
        triangle_axis: axis on which the sides of a triangle are straight lines.
        norm: scale each triangle to ``height`` 1, to ``area`` 1 over Hz (librosa's norm "slaney"), or so that
            its weights have the ``sum`` 1 (Essentia's "unit_sum").
    """

    n_mels: int
    f_min: float
    f_max: float
    scale: MelScale
    triangle_axis: Literal["mel", "hertz"]
    norm: Literal["height", "area", "sum"] = "height"


@cache
def mel_filters(mel: MelFilterbank, sample_rate: int, n_fft: int) -> F64:
    """Weights of the bins of a spectrum in the bands, [n_fft/2+1,bands].

    Source: HTK's and Slaney's (Auditory Toolbox) mel scales.
    """
    lowest, highest = hz_to_mel(np.array([mel.f_min, mel.f_max]), mel.scale)
    edges = np.linspace(lowest, highest, mel.n_mels + 2)
    bins = np.linspace(0.0, sample_rate / 2, n_fft // 2 + 1)
    edges_hz = mel_to_hz(edges, mel.scale)
    if mel.triangle_axis == "mel":
        bins = hz_to_mel(bins, mel.scale)
    else:
        edges = edges_hz
    low, center, high = edges[:-2], edges[1:-1], edges[2:]
    bins = bins[:, None]  # [n_fft/2+1,1]
    filters = np.minimum((bins - low) / (center - low), (high - bins) / (high - center)).clip(min=0.0)
    match mel.norm:
        case "height":
            return filters
        case "area":
            return filters * 2 / (edges_hz[2:] - edges_hz[:-2])
        case "sum":
            return filters / filters.sum(axis=0)


def hz_to_mel(hertz: F64, scale: MelScale) -> F64:
    """Convert frequencies in Hz to a mel scale."""
    if scale == "htk":
        return 1127.0 * np.log1p(hertz / 700.0)
    above = _BREAK_MEL + np.log(np.maximum(hertz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hertz < _BREAK_HZ, hertz * _BREAK_MEL / _BREAK_HZ, above)


def mel_to_hz(mel: F64, scale: MelScale) -> F64:
    """Convert frequencies on a mel scale to Hz."""
    if scale == "htk":
        return 700.0 * np.expm1(mel / 1127.0)
    above = _BREAK_HZ * np.exp((np.maximum(mel, _BREAK_MEL) - _BREAK_MEL) * _LOG_STEP)
    return np.where(mel < _BREAK_MEL, mel * _BREAK_HZ / _BREAK_MEL, above)
