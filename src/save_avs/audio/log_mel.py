"""Log-mel patches of a waveform, as the front-end of an audio network defines them.

Everything is computed in float64 and cast once at the end: in float32 a pure tone deviates from the
reference by 3e-4.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.types import F32, F64, Bool

SAMPLE_RATE = VGGISH.sample_rate
PATCH_SECONDS = 0.96  # from one VGGish patch to the next: the frame interval of the benchmarks
SILENT_LOG_MEL = float(np.log(0.01))  # every value of a VGGish patch of digital silence
# Above that: a 3 kHz tone of 1/40 of the least significant bit of 16-bit audio reaches it.
SILENCE_TOLERANCE = 0.01

_BLOCK = 1024  # frames transformed at once: bounds the working memory to a few MiB


def log_mel(waveform: F32, sample_rate: int, frontend: Frontend = VGGISH) -> F32:
    """Compute one patch every 0.96 s from the start of a waveform, centered where VGGish's patches are.

    Args:
        waveform: mono, float [S] in -1..1.
        sample_rate: samples per second; resampled (soxr, very high quality) unless it is the front-end's.
        frontend: that of the audio network.

    Returns:
        f32 [N,frames,bands]. As in VGGish the incomplete last patch is dropped, so N is 0 for a waveform
        shorter than 0.975 s.

    Raises:
        ValueError: when ``waveform`` is not a float vector or ``sample_rate`` is not positive.

    Source: Hershey et al. 2017 (arXiv 1609.09430), and the parameters of the published VGGish.
    """
    samples = _resample(waveform, sample_rate, frontend.sample_rate)
    vggish_samples = len(samples) * SAMPLE_RATE // frontend.sample_rate
    frames = max(0, (vggish_samples - VGGISH.win_length) // VGGISH.hop_length + 1)
    starts = PATCH_SECONDS * np.arange(frames // VGGISH.num_frames, dtype=np.float64)
    return _patches(samples, (starts + VGGISH.duration / 2) * frontend.sample_rate, frontend)


def log_mel_at(
    waveform: F32,
    sample_rate: int,
    times: ArrayLike,
    waveform_start: float = 0.0,
    frontend: Frontend = VGGISH,
) -> F32:
    """Compute one patch centered on each given time in seconds, [T], in any order: f32 [T,frames,bands].

    Each patch is centered to the nearest sample, not to a 10 ms grid. ``waveform_start`` is the time of
    ``waveform[0]``; there is silence outside the waveform, which may be empty.

    Raises:
        ValueError: as in ``log_mel``, or a time is not finite.
    """
    samples = _resample(waveform, sample_rate, frontend.sample_rate)
    centers = (np.asarray(times, dtype=np.float64).reshape(-1) - waveform_start) * frontend.sample_rate
    if not np.all(np.isfinite(centers)):
        raise ValueError("times and waveform_start must be finite")
    return _patches(samples, centers, frontend)


def is_silent(log_mel: F32) -> Bool:
    """Find the VGGish patches, [N,96,64], of digital silence up to rounding errors: bool [N]."""
    return log_mel.max(axis=(1, 2)) < SILENT_LOG_MEL + SILENCE_TOLERANCE


def _resample(waveform: F32, sample_rate: int, target_rate: int) -> F64:
    if waveform.ndim != 1 or not np.issubdtype(waveform.dtype, np.floating):
        got = f"{waveform.dtype} {list(waveform.shape)}"
        raise ValueError(f"waveform must be a float vector in -1..1, got {got}")
    if sample_rate <= 0:
        raise ValueError(f"sample_rate must be positive, got {sample_rate}")
    samples = waveform.astype(np.float64)
    if sample_rate == target_rate or len(samples) == 0:
        return samples
    import soxr

    return soxr.resample(samples, sample_rate, target_rate, quality="VHQ")


def _patches(samples: F64, centers: F64, frontend: Frontend) -> F32:
    """Compute the patch around each center, given in samples: f32 [T,frames,bands]."""
    # Rounds halves up, and rounding errors below a half too: a chunk gives the same patches as the whole.
    first = np.floor(centers + (0.5 + 1e-4)).astype(np.int64) - frontend.num_samples // 2
    return (_padded_patches if any(frontend.padding) else _unpadded_patches)(samples, first, frontend)


def _unpadded_patches(samples: F64, first: NDArray[np.int64], frontend: Frontend) -> F32:
    """Compute patches without padding: windows that patches share are transformed once.

    At 25 fps neighboring VGGish patches share all but four of their 96 windows.
    """
    starts = first[:, None] + frontend.hop_length * np.arange(frontend.num_frames)  # [T,frames]
    starts = np.clip(starts, -frontend.win_length, len(samples))  # windows outside are the same silence
    unique, inverse = np.unique(starts, return_inverse=True)
    windows = sliding_window_view(np.pad(samples, frontend.win_length), frontend.win_length)
    out = np.empty((len(unique), frontend.mel.n_mels), dtype=np.float32)
    for i in range(0, len(unique), _BLOCK):
        out[i : i + _BLOCK] = frontend.log_mel(windows[unique[i : i + _BLOCK] + frontend.win_length])
    return out[inverse.reshape(starts.shape)]


def _padded_patches(samples: F64, first: NDArray[np.int64], frontend: Frontend) -> F32:
    """Compute patches with padding, one by one."""
    length = frontend.num_samples
    out = np.empty((len(first), *frontend.shape), dtype=np.float32)
    samples = np.pad(samples, length)
    for i, start in enumerate(np.clip(first, -length, len(samples) - 2 * length) + length):
        padded = np.pad(samples[start : start + length], frontend.padding, mode=frontend.pad_mode)
        windows = sliding_window_view(padded, frontend.win_length)[:: frontend.hop_length]
        out[i] = frontend.log_mel(windows)
    return out
