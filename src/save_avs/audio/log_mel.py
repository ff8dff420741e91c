"""Log-mel patches of a sound, as an audio backbone's front-end wants them.

Every value is computed in float64 and cast once at the end: in float32 a pure tone strays 3e-4 from the
reference.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from save_avs.audio.front_end import VGGISH, FrontEnd
from save_avs.types import F32, F64, Bool

SAMPLE_RATE = VGGISH.rate
PATCH_SECONDS = 0.96  # from patch to patch of VGGish, which the benchmarks count in
PATCH_SAMPLES = VGGISH.span
SILENCE = float(np.log(0.01))  # every value of VGGish's patch of silence
INAUDIBLE = 0.01  # above silence; a 3 kHz tone of a fortieth of 16-bit sound's smallest step reaches it

_BLOCK = 1024  # frames transformed at once: bounds the working memory to a few MiB


def log_mel(wave: F32, rate: int, front_end: FrontEnd = VGGISH) -> F32:
    """Cut a sound into patches, each centred where one of VGGish's is: one every 0.96 s from its start.

    Args:
        wave: mono sound, float [S] in -1..1.
        rate: samples a second; anything but the front-end's is resampled first (soxr, very high quality).
        front_end: the audio backbone's.

    Returns:
        f32 [N,frames,bands]. The incomplete patch at the end is dropped, as VGGish does, so N is 0 for a
        sound under 0.975 s.

    Raises:
        ValueError: when ``wave`` is not a float vector or ``rate`` is not positive.

    Source: Hershey et al. 2017 (arXiv 1609.09430), and the parameters of the published VGGish.
    """
    samples = _resampled(wave, rate, front_end.rate)
    whole = len(samples) * SAMPLE_RATE // front_end.rate  # samples that VGGish would see
    hops = max(0, (whole - VGGISH.window) // VGGISH.hop + 1)
    centres = PATCH_SECONDS * np.arange(hops // VGGISH.frames, dtype=np.float64) + VGGISH.seconds / 2
    return _centred(samples, centres * front_end.rate, front_end)


def log_mel_at(
    wave: F32, rate: int, times: ArrayLike, wave_start: float = 0.0, front_end: FrontEnd = VGGISH
) -> F32:
    """Cut one patch around each given time; what lies outside the sound is silence.

    Each patch is centred to the nearest sample, not to a 10 ms grid.

    Args:
        wave: mono sound, float [S] in -1..1; may be empty.
        rate: samples a second.
        times: centres in seconds, [T], in any order.
        wave_start: time of ``wave[0]`` in seconds, on the clock of ``times``.
        front_end: the audio backbone's.

    Returns:
        f32 [T,frames,bands].

    Raises:
        ValueError: when ``wave`` is not a float vector, ``rate`` is not positive or a time is not finite.
    """
    samples = _resampled(wave, rate, front_end.rate)
    centres = (np.asarray(times, dtype=np.float64).reshape(-1) - wave_start) * front_end.rate
    if not np.all(np.isfinite(centres)):
        raise ValueError("times and wave_start must be finite")
    return _centred(samples, centres, front_end)


def is_silent(patches: F32) -> Bool:
    """Say which of VGGish's patches, [N,96,64], hold but digital silence, rounding errors aside: bool [N]."""
    return patches.max(axis=(1, 2)) < SILENCE + INAUDIBLE


def _resampled(wave: F32, rate: int, wanted: int) -> F64:
    if wave.ndim != 1 or not np.issubdtype(wave.dtype, np.floating):
        raise ValueError(f"wave must be a float vector in -1..1, got {wave.dtype} {list(wave.shape)}")
    if rate <= 0:
        raise ValueError(f"rate must be positive, got {rate}")
    samples = wave.astype(np.float64)
    if rate == wanted or len(samples) == 0:
        return samples
    import soxr

    return soxr.resample(samples, rate, wanted, quality="VHQ")


def _centred(samples: F64, centres: F64, front_end: FrontEnd) -> F32:
    """The patch around each centre, counted in samples: f32 [T,frames,bands]."""
    # Halves go up, and so does what is a rounding error below a half: a chunk then gives the whole's patches.
    first = np.floor(centres + (0.5 + 1e-4)).astype(np.int64) - front_end.span // 2
    return (_apart if front_end.filling else _together)(samples, first, front_end)


def _together(samples: F64, first: NDArray[np.int64], front_end: FrontEnd) -> F32:
    """Patches with nothing put at their ends: windows that neighbours share are computed once.

    At 25 fps these are all of VGGish's but four in 96.
    """
    starts = first[:, None] + front_end.hop * np.arange(front_end.frames)  # [T,frames]
    starts = np.clip(starts, -front_end.window, len(samples))  # all wholly outside are the same silence
    unique, where = np.unique(starts, return_inverse=True)
    windows = sliding_window_view(np.pad(samples, front_end.window), front_end.window)
    out = np.empty((len(unique), front_end.mel.count), dtype=np.float32)
    for i in range(0, len(unique), _BLOCK):
        block = windows[unique[i : i + _BLOCK] + front_end.window]
        out[i : i + _BLOCK] = front_end.level(front_end.bands(block))
    return out[where.reshape(starts.shape)]


def _apart(samples: F64, first: NDArray[np.int64], front_end: FrontEnd) -> F32:
    """Patches whose ends are filled up: each by itself."""
    out = np.empty((len(first), *front_end.shape), dtype=np.float32)
    padded = np.pad(samples, front_end.span)
    before = front_end.filling // 2
    for i, start in enumerate(np.clip(first, -front_end.span, len(samples)) + front_end.span):
        stretch = padded[start : start + front_end.span]
        filled = np.pad(stretch, (before, front_end.filling - before), mode=front_end.edges)
        windows = sliding_window_view(filled, front_end.window)[:: front_end.hop]
        out[i] = front_end.level(front_end.bands(windows))
    return out
