"""Arrays in, masks out: for those who have frames and sound in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from save_avs.errors import UsageError
from save_avs.inference.pipeline import segment_source
from save_avs.inference.predictor import FrameModel
from save_avs.inference.result import SegmentationResult
from save_avs.inference.settings import DEFAULT_OUTPUTS, SegmentationSettings
from save_avs.inference.sources import ArraySource
from save_avs.types import F32, F64, U8, VideoChunk


def segment_arrays(
    frames: U8,
    waveform: F32 | None = None,
    *,
    fps: float | None = None,
    times: F64 | Sequence[float] | None = None,
    sample_rate: int = 16000,
    model: FrameModel | str | Path = "save-tiny",
    threshold: float = 0.5,
    batch: int = 16,
    outputs: tuple[str, ...] = DEFAULT_OUTPUTS,
    name: str = "arrays",
) -> SegmentationResult:
    """Mark, in frames that lie in memory, the pixels of the things that sound.

    Args:
        frames: RGB u8 [T,H,W,3], at least one.
        waveform: mono sound f32 [S] in -1..1, from time 0 on; None where there is none.
        fps: frames a second; or else ``times``.
        times: of each frame, seconds [T], increasing.
        sample_rate: samples of ``waveform`` a second.
        model: from ``load_model``, or its name or folder.
        threshold: pixels of a higher probability are marked.
        batch: frames the model sees at once.
        outputs: what the result's ``save`` will write, of overlay, masks, timeline, png.
        name: what its files call it.

    Raises:
        UsageError: wrong options, no such model, or neither or both of ``fps`` and ``times``.
        ValueError: arrays of another shape or type.

    Examples:
        >>> import numpy as np, save_avs
        >>> frames = np.zeros((4, 90, 160, 3), np.uint8)
        >>> waveform = np.sin(np.arange(16000) / 8).astype(np.float32)
        >>> result = save_avs.segment_arrays(frames, waveform, sample_rate=16000, fps=4)
        >>> result.masks.shape, result.times.tolist()
        ((4, 90, 160), [0.0, 0.25, 0.5, 0.75])
    """
    if (fps is None) == (times is None):
        raise UsageError("say when the frames were: give fps or times, and not both")
    if not len(frames):
        raise UsageError("there is no frame to segment")
    shown = np.arange(len(frames)) / fps if fps else np.asarray(times, dtype=np.float64)
    sound = np.zeros(0, dtype=np.float32) if waveform is None else waveform
    clip = VideoChunk(frames=frames, times=shown, waveform=sound, waveform_start=0.0, sample_rate=sample_rate)
    settings = SegmentationSettings(threshold=threshold, outputs=outputs, batch=batch)
    return segment_source(ArraySource(clip, name), model, settings)
