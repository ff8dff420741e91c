"""Sounds moved in time, and laid over one another."""

from __future__ import annotations

import numpy as np

from save_avs.types import F32


def time_shift(waveform: F32, samples: int) -> F32:
    """A sound moved later; what leaves at one end comes in at the other, so that no frame falls silent."""
    return np.roll(waveform, samples)


def mix_at_snr(waveform: F32, other: F32, snr_db: float) -> F32:
    """A sound with another one under it, f32 [S], over its whole length.

    Args:
        waveform: f32 [S].
        other: f32 of any length; repeated where it is shorter.
        snr_db: how far the mean power of ``waveform`` lies above that of ``other``. Nothing lies under silence.
    """
    return (waveform + match_rms(other, waveform) * 10 ** (-snr_db / 20)).astype(np.float32)


def match_rms(waveform: F32, like: F32) -> F32:
    """A sound as long and, in mean power, as loud as another, f32 [S].

    Args:
        waveform: f32 of any length; repeated where it is shorter. Digital silence stays that.
        like: f32 [S].
    """
    waveform = np.resize(waveform, len(like))
    own, wanted = (float(np.square(part, dtype=np.float64).mean()) for part in (waveform, like))
    return waveform if own == 0 else (waveform * (wanted / own) ** 0.5).astype(np.float32)
