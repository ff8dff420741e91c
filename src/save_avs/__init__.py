"""SAVE: audio-visual segmentation. A video goes in, pixel masks of the sounding objects come out.

The names of ``__all__`` are the public API; every other module is private. They are imported on first access:
torch takes seconds to import, and the command line must not.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from save_avs import audio, errors, sam
    from save_avs.inference.pipeline import segment, segment_arrays
    from save_avs.inference.predictor import Predictor
    from save_avs.inference.result import SegmentationResult
    from save_avs.inference.streaming import SegmentedFrame, stream
    from save_avs.models import SAVE
    from save_avs.runtimes import load_model
    from save_avs.runtimes.hub_models import from_pretrained, push_to_hub, save_pretrained
    from save_avs.training.teach_new_class import TaughtModel, teach
    from save_avs.types import FrameMask, MaskObject, VideoChunk, VideoMasks
    from save_avs.video import read_video_chunks

    __version__: str

__all__ = [
    "SAVE",
    "FrameMask",
    "MaskObject",
    "Predictor",
    "SegmentationResult",
    "SegmentedFrame",
    "TaughtModel",
    "VideoChunk",
    "VideoMasks",
    "__version__",
    "audio",
    "errors",
    "from_pretrained",
    "load_model",
    "push_to_hub",
    "read_video_chunks",
    "sam",
    "save_pretrained",
    "segment",
    "segment_arrays",
    "stream",
    "teach",
]

_MODULES = {"audio": "audio", "errors": "errors", "sam": "sam"}
_HOMES = {
    "inference.pipeline": ("segment", "segment_arrays"),
    "inference.predictor": ("Predictor",),
    "inference.result": ("SegmentationResult",),
    "inference.streaming": ("SegmentedFrame", "stream"),
    "models": ("SAVE",),
    "runtimes": ("load_model",),
    "runtimes.hub_models": ("from_pretrained", "push_to_hub", "save_pretrained"),
    "training.teach_new_class": ("TaughtModel", "teach"),
    "types": ("FrameMask", "MaskObject", "VideoChunk", "VideoMasks"),
    "video": ("read_video_chunks",),
}

# Messages are for the application to show: see "Logging" in docs/guides/python.md.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        from save_avs._extras import package_version

        return package_version()
    if name in _MODULES:
        return import_module(f"{__name__}.{_MODULES[name]}")
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
