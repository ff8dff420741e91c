"""Segmentation of videos: sources, predictor, results, streaming.

Names that need torch, whose import takes seconds, are imported on first access.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from save_avs.inference.pipeline import FrameProgress, segment, segment_arrays
    from save_avs.inference.predictor import FrameModel, Prediction, Predictor
    from save_avs.inference.result import SegmentationResult
    from save_avs.inference.streaming import SegmentedFrame, stream

__all__ = [
    "FrameModel",
    "FrameProgress",
    "Prediction",
    "Predictor",
    "SegmentationResult",
    "SegmentedFrame",
    "segment",
    "segment_arrays",
    "stream",
]

_MODULES = {
    "pipeline": ("FrameProgress", "segment", "segment_arrays"),
    "predictor": ("FrameModel", "Prediction", "Predictor"),
    "result": ("SegmentationResult",),
    "streaming": ("SegmentedFrame", "stream"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
