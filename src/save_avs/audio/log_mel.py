"""Log-mel patches of a sound, as an audio backbone's front-end wants them.

Every value is computed in float64 and cast once at the end: in float32 a pure tone strays 3e-4 from the
reference.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.types import F32, F64, Bool

SAMPLE_RATE = VGGISH.sample_rate
PATCH_SECONDS = 0.96  # from patch to patch of VGGish, which the benchmarks count in
PATCH_SAMPLES = VGGISH.num_samples
SILENT_LOG_MEL = float(np.log(0.01))  # every value of VGGish's patch of silence
SILENCE_TOLERANCE = (
    0.01  # above silence; a 3 kHz tone of a fortieth of 16-bit sound's smallest step reaches it
)

_BLOCK = 1024  # frames transformed at once: bounds the working memory to a few MiB


def log_mel(waveform: F32, sample_rate: int, frontend: Frontend = VGGISH) -> F32:
    """Cut a sound into patches, each centered where one of VGGish's is: one every 0.96 s from its start.

    Args:
        waveform: mono sound, float [S] in -1..1.
        sample_rate: samples a second; anything but the front-end's is resampled first (soxr, very high quality).
        frontend: the audio backbone's.

    Returns:
        f32 [N,frames,bands]. The incomplete patch at the end is dropped, as VGGish does, so N is 0 for a
        sound under 0.975 s.

    Raises:
        ValueError: when ``waveform`` is not a float vector or ``sample_rate`` is not positive.

    Source: Hershey et al. 2017 (arXiv 1609.09430), and the parameters of the published VGGish.
    """
    samples = _resampled(waveform, sample_rate, frontend.sample_rate)
    whole = len(samples) * SAMPLE_RATE // frontend.sample_rate  # samples that VGGish would see
    hops = max(0, (whole - VGGISH.window) // VGGISH.hop + 1)
    centers = PATCH_SECONDS * np.arange(hops // VGGISH.frames, dtype=np.float64) + VGGISH.seconds / 2
    return _centered(samples, centers * frontend.sample_rate, frontend)


def log_mel_at(
    waveform: F32,
    sample_rate: int,
    times: ArrayLike,
    waveform_start: float = 0.0,
    frontend: Frontend = VGGISH,
) -> F32:
    """Cut one patch around each given time; what lies outside the sound is silence.

    Each patch is centered to the nearest sample, not to a 10 ms grid.

    Args:
        waveform: mono sound, float [S] in -1..1; may be empty.
        sample_rate: samples a second.
        times: centers in seconds, [T], in any order.
        waveform_start: time of ``waveform[0]`` in seconds, on the clock of ``times``.
        frontend: the audio backbone's.

    Returns:
        f32 [T,frames,bands].

    Raises:
        ValueError: when ``waveform`` is not a float vector, ``sample_rate`` is not positive or a time is not finite.
    """
    samples = _resampled(waveform, sample_rate, frontend.sample_rate)
    centers = (np.asarray(times, dtype=np.float64).reshape(-1) - waveform_start) * frontend.sample_rate
    if not np.all(np.isfinite(centers)):
        raise ValueError("times and wave_start must be finite")
    return _centered(samples, centers, frontend)


def is_silent(log_mel: F32) -> Bool:
    """Say which of VGGish's patches, [N,96,64], hold but digital silence, rounding errors aside: bool [N]."""
    return log_mel.max(axis=(1, 2)) < SILENT_LOG_MEL + SILENCE_TOLERANCE


def _resampled(waveform: F32, sample_rate: int, wanted: int) -> F64:
    if waveform.ndim != 1 or not np.issubdtype(waveform.dtype, np.floating):
        raise ValueError(f"wave must be a float vector in -1..1, got {waveform.dtype} {list(waveform.shape)}")
    if sample_rate <= 0:
        raise ValueError(f"rate must be positive, got {sample_rate}")
    samples = waveform.astype(np.float64)
    if sample_rate == wanted or len(samples) == 0:
        return samples
    import soxr

    return soxr.resample(samples, sample_rate, wanted, quality="VHQ")


def _centered(samples: F64, centers: F64, frontend: Frontend) -> F32:
    """The patch around each center, counted in samples: f32 [T,frames,bands]."""
    # Halves go up, and so does what is a rounding error below a half: a chunk then gives the whole's patches.
    first = np.floor(centers + (0.5 + 1e-4)).astype(np.int64) - frontend.num_samples // 2
    return (_apart if frontend.filling else _together)(samples, first, frontend)


def _together(samples: F64, first: NDArray[np.int64], frontend: Frontend) -> F32:
    """Patches with nothing put at their ends: windows that neighbors share are computed once.

    At 25 fps these are all of VGGish's but four in 96.
    """
    starts = first[:, None] + frontend.hop * np.arange(frontend.frames)  # [T,frames]
    starts = np.clip(starts, -frontend.window, len(samples))  # all wholly outside are the same silence
    unique, where = np.unique(starts, return_inverse=True)
    windows = sliding_window_view(np.pad(samples, frontend.window), frontend.window)
    out = np.empty((len(unique), frontend.mel.count), dtype=np.float32)
    for i in range(0, len(unique), _BLOCK):
        block = windows[unique[i : i + _BLOCK] + frontend.window]
        out[i : i + _BLOCK] = frontend.level(frontend.bands(block))
    return out[where.reshape(starts.shape)]


def _apart(samples: F64, first: NDArray[np.int64], frontend: Frontend) -> F32:
    """Patches whose ends are filled up: each by itself."""
    out = np.empty((len(first), *frontend.shape), dtype=np.float32)
    padded = np.pad(samples, frontend.num_samples)
    before = frontend.filling // 2
    for i, start in enumerate(np.clip(first, -frontend.num_samples, len(samples)) + frontend.num_samples):
        stretch = padded[start : start + frontend.num_samples]
        filled = np.pad(stretch, (before, frontend.filling - before), mode=frontend.edges)
        windows = sliding_window_view(filled, frontend.window)[:: frontend.hop]
        out[i] = frontend.level(frontend.bands(windows))
    return out
