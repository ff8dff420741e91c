"""Waveform augmentation: time shift, mixing at a signal-to-noise ratio, noise and gain."""

from collections.abc import Callable

import numpy as np

from save_avs.types import F32


def match_rms(waveform: F32, reference: F32) -> F32:
    """Give a waveform, repeated when it is shorter, the length and RMS level of another, f32 [S].

    Digital silence stays silent.
    """
    waveform = np.resize(waveform, len(reference))
    power, target = (float(np.square(part, dtype=np.float64).mean()) for part in (waveform, reference))
    return waveform if power == 0 else (waveform * (target / power) ** 0.5).astype(np.float32)


def mix_at_snr(waveform: F32, noise: F32, snr_db: float) -> F32:
    """Add noise, or another sound of any length, to a waveform over its whole length, f32 [S].

    ``snr_db`` is the mean power of the waveform over that of the noise, in decibels. Nothing is added to
    digital silence.
    """
    return (waveform + match_rms(noise, waveform) * 10 ** (-snr_db / 20)).astype(np.float32)


def augment_waveform(
    waveform: F32,
    sample_rate: int,
    rng: np.random.Generator,
    other: Callable[[], F32],
    *,
    shift_s: float = 0.0,
    mix: float = 0.0,
    mix_db: tuple[float, float] = (0.0, 12.0),
    noise_db: tuple[float, float] | None = None,
    gain_db: float = 0.0,
) -> F32:
    """Augment a mono waveform, f32 [S] in -1..1, at random; clipped to that range as a recording is.

    It is shifted in time by up to ``shift_s`` seconds either way. With the probability ``mix``, the waveform
    that ``other`` returns is mixed in at a signal-to-noise ratio from ``mix_db``, and with ``noise_db`` white
    noise at one from that range. The level changes by up to ``gain_db`` decibels, up or down.
    """
    # Circular, so that no frame becomes silent.
    waveform = np.roll(waveform, round(rng.uniform(-shift_s, shift_s) * sample_rate))
    if rng.random() < mix:
        waveform = mix_at_snr(waveform, other(), rng.uniform(*mix_db))
    if noise_db is not None:
        noise = rng.standard_normal(len(waveform), np.float32)
        waveform = mix_at_snr(waveform, noise, rng.uniform(*noise_db))
    gain = 10 ** (rng.uniform(-gain_db, gain_db) / 20)
    return np.clip(waveform * np.float32(gain), -1, 1)
