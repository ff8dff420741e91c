"""Frames and sound as people hold them (lists, tensors, any number type, any layout) as a VideoChunk."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from save_avs.errors import UsageError
from save_avs.types import F32, U8, VideoChunk

MAX_CHANNELS = 32
MIN_RATE, MAX_RATE = 100, 1_000_000  # samples per second
LOUD = 1.5  # samples beyond it are hardly in -1..1
_INT16 = 1 << 15


def make_chunk(frames: Any, waveform: Any, *, fps: Any, times: Any, sample_rate: Any) -> VideoChunk:
    """Convert frames and sound; the options are those of ``segment_arrays``.

    Raises:
        UsageError: a value that is no video: another shape, NaN, times that do not increase.
    """
    images = _frames(frames)
    for name, rate in (("fps", fps), ("sample_rate", sample_rate)):
        number = isinstance(rate, int | float | np.number) and np.isfinite(rate) and rate > 0
        if not number and not (rate is fps is None):
            raise UsageError(f"{name} must be a number above 0, not {rate!r}")
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise UsageError(f"sample_rate must be {MIN_RATE} to {MAX_RATE} per second, not {sample_rate!r}")
    moments = np.arange(len(images)) / fps if fps else _array(times, "times", ndim=(1,)).astype(np.float64)
    silence = np.zeros(0, np.float32)
    sound = silence if waveform is None else _mono(_array(waveform, "waveform", ndim=(1, 2)))
    try:
        return VideoChunk(images, moments, sound, waveform_start=0.0, sample_rate=round(sample_rate))
    except ValueError as error:
        raise UsageError(f"wrong arrays: {error}") from error


def _array(values: Any, name: str, *, ndim: tuple[int, ...]) -> NDArray[Any]:
    """Convert a list, an array or a tensor of any device to an array of finite numbers."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name} cannot be converted to an array: {error}") from error
    if array.dtype.kind not in "biuf":
        raise UsageError(f"{name} must be numbers, of one length per axis, not {array.dtype}")
    if array.ndim not in ndim:
        raise UsageError(f"{name} must have {' or '.join(map(str, ndim))} axes, not shape {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UsageError(f"{name} has values that are NaN or infinite: replace them first")
    return array


def _frames(frames: Any) -> U8:
    """Convert to RGB u8 [T,H,W,3]."""
    if not hasattr(frames, "__len__") or not len(frames):
        raise UsageError("there are no frames to segment")
    if not hasattr(frames, "shape"):
        frames = [_array(frame, "a frame", ndim=(3,)) for frame in frames]
    array = _array(frames, "frames", ndim=(4,))
    if array.shape[3] != 3 and array.shape[1] == 3:
        array = np.moveaxis(array, 1, 3)
    if array.shape[3] != 3 or 0 in array.shape:
        raise UsageError(f"frames must be RGB, [T,H,W,3] or [T,3,H,W], not {list(array.shape)}")
    return np.ascontiguousarray(_to_bytes(array))


def _to_bytes(array: NDArray[Any]) -> U8:
    """Scale to 0..255: floats up to 1 are in 0..1, integers above 255 have 16 bits."""
    if array.dtype == np.uint8:
        return array
    low, high = float(array.min()), float(array.max())
    full = 65535 if array.dtype.kind in "iu" and high > 255 else 255
    if low < 0 or high > full:
        raise UsageError(f"frames have values from {low:g} to {high:g}: scale them to 0..1 or 0..255")
    if array.dtype.kind == "b" or (array.dtype.kind == "f" and high <= 1):
        return np.rint(array.astype(np.float32) * 255).astype(np.uint8)
    return (array // 257 if full > 255 else np.rint(array)).astype(np.uint8)


def _mono(array: NDArray[Any]) -> F32:
    """Convert [S], [S,C] or [C,S] to f32 [S]: integers by the range of their type, channels to their mean."""
    if array.ndim == 2:
        axis = int(np.argmin(array.shape))
        if not 0 < array.shape[axis] <= MAX_CHANNELS:
            raise UsageError(f"waveform of shape {array.shape}: must be [S], [S,C] or [C,S]")
        return _in_unit_range(array).mean(axis, dtype=np.float32)
    return np.ascontiguousarray(_in_unit_range(array))


def _in_unit_range(array: NDArray[Any]) -> F32:
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.dtype.kind == "b":
        raise UsageError("waveform must be numbers, not bool")
    offset, bits = (128, 8) if array.dtype == np.uint8 else (0, 8 * array.dtype.itemsize)
    full = 1 << (bits - 1)
    if bits == 64 or (array.dtype.kind == "u" and bits > 8):  # lists of Python's integers
        peak = float(np.abs(array.astype(np.float64)).max(initial=0))
        full = _INT16 if peak <= _INT16 else 1 << 31
    return ((array.astype(np.float64) - offset) / full).astype(np.float32)
