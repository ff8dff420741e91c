"""From a video to masks: `segment`, the `Predictor` under it, and many videos in a row.

Names that need torch, whose import takes seconds, are imported when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from save_avs.inference.arrays import segment_arrays
    from save_avs.inference.many import Outcome, segment_jobs
    from save_avs.inference.predictor import FrameModel, Prediction, Predictor
    from save_avs.inference.result import SegmentationResult
    from save_avs.inference.segmentation import Progress, segment
    from save_avs.inference.spans import Span, marked_spans
    from save_avs.inference.streaming import MarkedFrame, stream

__all__ = [
    "FrameModel",
    "MarkedFrame",
    "Outcome",
    "Prediction",
    "Predictor",
    "Progress",
    "SegmentationResult",
    "Span",
    "marked_spans",
    "segment",
    "segment_arrays",
    "segment_jobs",
    "stream",
]

_HOMES = {
    "FrameModel": "predictor",
    "MarkedFrame": "streaming",
    "Outcome": "many",
    "Prediction": "predictor",
    "Predictor": "predictor",
    "Progress": "segmentation",
    "SegmentationResult": "result",
    "Span": "spans",
    "marked_spans": "spans",
    "segment": "segmentation",
    "segment_arrays": "arrays",
    "segment_jobs": "many",
    "stream": "streaming",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
