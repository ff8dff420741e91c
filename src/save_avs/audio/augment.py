"""Clips heard in another way: moved in time, among other sounds and noise, louder or softer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from save_avs.audio.mixing import mix_at_snr, time_shift
from save_avs.training.stage import AugmentConfig
from save_avs.types import F32


def augment_waveform(
    waveform: F32,
    sample_rate: int,
    options: AugmentConfig,
    rng: np.random.Generator,
    other: Callable[[], F32],
) -> F32:
    """Draw how a clip is heard and sound so.

    Args:
        waveform: mono, f32 [S] in -1..1.
        sample_rate: samples a second.
        options: what may be done, and how much.
        rng: what it is drawn from.
        other: the sound of another clip; asked for only when one is mixed in.

    Returns:
        f32 [S]; what would pass -1..1 is clipped, as a recording is.
    """
    waveform = time_shift(waveform, round(rng.uniform(-options.shift_s, options.shift_s) * sample_rate))
    if rng.random() < options.mix:
        waveform = mix_at_snr(waveform, other(), rng.uniform(*options.mix_db))
    if options.noise_db is not None:
        noise = rng.standard_normal(len(waveform), np.float32)
        waveform = mix_at_snr(waveform, noise, rng.uniform(*options.noise_db))
    gain = 10 ** (rng.uniform(-options.gain_db, options.gain_db) / 20)
    return np.clip(waveform * np.float32(gain), -1, 1)
