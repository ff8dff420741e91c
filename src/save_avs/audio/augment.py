"""Waveform augmentation: time shift, mixing at a signal-to-noise ratio, noise and gain."""

from collections.abc import Callable

import numpy as np

from save_avs.types import F32


def match_rms(waveform: F32, reference: F32) -> F32:
    """Give a waveform the length and the RMS level of another, f32 [S].

    Args:
        waveform: f32 of any length, repeated when it is shorter. Digital silence stays silent.
        reference: f32 [S].
    """
    waveform = np.resize(waveform, len(reference))
    power, target = (float(np.square(part, dtype=np.float64).mean()) for part in (waveform, reference))
    return waveform if power == 0 else (waveform * (target / power) ** 0.5).astype(np.float32)


def mix_at_snr(waveform: F32, noise: F32, snr_db: float) -> F32:
    """Add noise, or another sound, to a waveform over its whole length, f32 [S].

    Args:
        waveform: f32 [S]. Nothing is added to digital silence.
        noise: f32 of any length, repeated when it is shorter.
        snr_db: mean power of ``waveform`` over that of the noise added, in decibels.
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
    """Augment a waveform at random.

    Args:
        waveform: mono, f32 [S] in -1..1.
        sample_rate: samples per second.
        rng: source of randomness.
        other: returns the waveform of another clip; called only when one is mixed in.
        shift_s: largest time shift in seconds, in either direction.
        mix: probability of mixing in another clip.
        mix_db: range of the signal-to-noise ratio of that clip.
        noise_db: range of the signal-to-noise ratio of white noise; None adds none.
        gain_db: largest gain in decibels, up or down.

    Returns:
        f32 [S], clipped to -1..1 as a recording is.
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
