"""Sounds moved in time, and laid over one another."""

from __future__ import annotations

import numpy as np

from save_avs.types import F32


def shifted(wave: F32, samples: int) -> F32:
    """A sound moved later; what leaves at one end comes in at the other, so that no frame falls silent."""
    return np.roll(wave, samples)


def beneath(wave: F32, other: F32, ratio_db: float) -> F32:
    """A sound with another one under it, f32 [S], over its whole length.

    Args:
        wave: f32 [S].
        other: f32 of any length; repeated where it is shorter.
        ratio_db: how far the mean power of ``wave`` lies above that of ``other``. Nothing lies under silence.
    """
    return (wave + levelled(other, wave) * 10 ** (-ratio_db / 20)).astype(np.float32)


def levelled(wave: F32, like: F32) -> F32:
    """A sound as long and, in mean power, as loud as another, f32 [S].

    Args:
        wave: f32 of any length; repeated where it is shorter. Digital silence stays that.
        like: f32 [S].
    """
    wave = np.resize(wave, len(like))
    own, wanted = (float(np.square(part, dtype=np.float64).mean()) for part in (wave, like))
    return wave if own == 0 else (wave * (wanted / own) ** 0.5).astype(np.float32)
