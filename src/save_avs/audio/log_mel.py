"""Log-mel patches, as VGGish was trained on them.

Every value is computed in float64 and cast once at the end: in float32 a pure tone strays 3e-4 from the
reference.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from save_avs.types import F32, F64, Bool

SAMPLE_RATE = 16_000
WINDOW = 400  # samples: 25 ms
HOP = 160  # samples: 10 ms
FFT = 512
BANDS = 64
PATCH_FRAMES = 96
PATCH_SECONDS = PATCH_FRAMES * HOP / SAMPLE_RATE  # 0.96, also the hop from patch to patch
PATCH_SAMPLES = (PATCH_FRAMES - 1) * HOP + WINDOW  # 15,600: the last window reaches 15 ms past 0.96 s
LOWEST_HZ, HIGHEST_HZ = 125.0, 7500.0
LOG_OFFSET = 0.01
SILENCE = float(np.log(LOG_OFFSET))  # every value of a silent patch
INAUDIBLE = 0.01  # above silence; a 3 kHz tone of a fortieth of 16-bit sound's smallest step reaches it

_BLOCK = 1024  # frames transformed at once: bounds the working memory to a few MiB


def log_mel(wave: F32, rate: int) -> F32:
    """Cut a sound into VGGish's patches, one every 0.96 s from its start.

    Args:
        wave: mono sound, float [S] in -1..1.
        rate: samples a second; anything but 16,000 is resampled first (soxr, very high quality).

    Returns:
        f32 [N,96,64], time by mel band. The incomplete patch at the end is dropped, as VGGish does, so N is 0
        for a sound under 0.975 s.

    Raises:
        ValueError: when ``wave`` is not a float vector or ``rate`` is not positive.

    Source: Hershey et al. 2017 (arXiv 1609.09430), and the parameters of the published VGGish.
    """
    samples = _at_sample_rate(wave, rate)
    hops = max(0, (len(samples) - WINDOW) // HOP + 1)
    patches = hops // PATCH_FRAMES
    starts = HOP * np.arange(patches * PATCH_FRAMES, dtype=np.int64)
    return _frames_at(samples, starts).reshape(patches, PATCH_FRAMES, BANDS)


def log_mel_at(wave: F32, rate: int, times: ArrayLike, wave_start: float = 0.0) -> F32:
    """Cut one patch around each given time; what lies outside the sound is silence.

    Each patch is centred to the nearest sample, not to a 10 ms grid. Windows that neighbouring patches share
    (at 25 fps all but four in 96) are computed once.

    Args:
        wave: mono sound, float [S] in -1..1; may be empty.
        rate: samples a second.
        times: centres in seconds, [T], in any order.
        wave_start: time of ``wave[0]`` in seconds, on the clock of ``times``.

    Returns:
        f32 [T,96,64].

    Raises:
        ValueError: when ``wave`` is not a float vector, ``rate`` is not positive or a time is not finite.
    """
    samples = _at_sample_rate(wave, rate)
    centres = (np.asarray(times, dtype=np.float64).reshape(-1) - wave_start) * SAMPLE_RATE
    if not np.all(np.isfinite(centres)):
        raise ValueError("times and wave_start must be finite")
    # Halves go up, and so does what is a rounding error below a half: a chunk then gives the whole's patches.
    first = np.floor(centres + (0.5 + 1e-4)).astype(np.int64) - PATCH_SAMPLES // 2
    starts = first[:, None] + HOP * np.arange(PATCH_FRAMES)  # [T,96]
    starts = np.clip(starts, -WINDOW, len(samples))  # all windows wholly outside are the same silence
    unique, where = np.unique(starts, return_inverse=True)
    padded = np.pad(samples, WINDOW)
    return _frames_at(padded, unique + WINDOW)[where.reshape(starts.shape)]


def is_silent(patches: F32) -> Bool:
    """Say which patches, [N,96,64], hold nothing but digital silence, rounding errors aside: bool [N]."""
    return patches.max(axis=(1, 2)) < SILENCE + INAUDIBLE


def _at_sample_rate(wave: F32, rate: int) -> F64:
    if wave.ndim != 1 or not np.issubdtype(wave.dtype, np.floating):
        raise ValueError(f"wave must be a float vector in -1..1, got {wave.dtype} {list(wave.shape)}")
    if rate <= 0:
        raise ValueError(f"rate must be positive, got {rate}")
    samples = wave.astype(np.float64)
    if rate == SAMPLE_RATE or len(samples) == 0:
        return samples
    import soxr

    return soxr.resample(samples, rate, SAMPLE_RATE, quality="VHQ")


def _frames_at(samples: F64, starts: NDArray[np.int64]) -> F32:
    """Log-mel of the 25 ms windows that begin at ``starts``: f32 [len(starts),64]."""
    out = np.empty((len(starts), BANDS), dtype=np.float32)
    if len(starts) == 0:
        return out
    windows = sliding_window_view(samples, WINDOW)
    window, mel = hann(), mel_matrix()
    for i in range(0, len(starts), _BLOCK):
        spectrum = np.fft.rfft(windows[starts[i : i + _BLOCK]] * window, FFT)  # [block,257]
        magnitude = np.sqrt(spectrum.real**2 + spectrum.imag**2)
        out[i : i + _BLOCK] = np.log(magnitude @ mel + LOG_OFFSET)
    return out


@cache
def hann() -> F64:
    """Hann window whose period is the window itself (not one sample less)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)


@cache
def mel_matrix() -> F64:
    """Weights [257,64] of triangles that are linear on HTK's mel scale and peak at 1."""
    bins = _mel(np.linspace(0.0, SAMPLE_RATE / 2, FFT // 2 + 1))[:, None]  # [257,1]
    lowest, highest = _mel(np.array([LOWEST_HZ, HIGHEST_HZ]))
    edges = np.linspace(lowest, highest, BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    return np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clip(min=0.0)


def _mel(hertz: F64) -> F64:
    return 1127.0 * np.log1p(hertz / 700.0)
