"""From a video to masks: `segment`, the `Predictor` under it, and many videos in a row.

Names that need torch, whose import takes seconds, are imported when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from save_avs.inference.arrays import segment_arrays
    from save_avs.inference.multiple_inputs import SegmentationOutcome, segment_jobs
    from save_avs.inference.pipeline import FrameProgress, segment
    from save_avs.inference.predictor import FrameModel, Prediction, Predictor
    from save_avs.inference.result import SegmentationResult
    from save_avs.inference.streaming import SegmentedFrame, stream
    from save_avs.inference.time_segments import SoundingSpan, find_sounding_spans

__all__ = [
    "FrameModel",
    "FrameProgress",
    "Prediction",
    "Predictor",
    "SegmentationOutcome",
    "SegmentationResult",
    "SegmentedFrame",
    "SoundingSpan",
    "find_sounding_spans",
    "segment",
    "segment_arrays",
    "segment_jobs",
    "stream",
]

_HOMES = {
    "FrameModel": "predictor",
    "SegmentedFrame": "streaming",
    "SegmentationOutcome": "multiple_inputs",
    "Prediction": "predictor",
    "Predictor": "predictor",
    "FrameProgress": "pipeline",
    "SegmentationResult": "result",
    "SoundingSpan": "time_segments",
    "find_sounding_spans": "time_segments",
    "segment": "pipeline",
    "segment_arrays": "arrays",
    "segment_jobs": "multiple_inputs",
    "stream": "streaming",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
