"""SAVE: a video goes in, pixel masks of what makes the sound come out.

The names below are imported when they are first used: torch takes seconds, and the command line must not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from save_avs import audio
    from save_avs.inference import (
        Predictor,
        SegmentationResult,
        SegmentedFrame,
        segment,
        segment_arrays,
        stream,
    )
    from save_avs.models import SAVE, load_model, sam
    from save_avs.types import VideoChunk, VideoMasks
    from save_avs.video import read_video_chunks

    __version__: str

__all__ = [
    "SAVE",
    "Predictor",
    "SegmentationResult",
    "SegmentedFrame",
    "VideoChunk",
    "VideoMasks",
    "__version__",
    "audio",
    "load_model",
    "read_video_chunks",
    "sam",
    "segment",
    "segment_arrays",
    "stream",
]

_PACKAGES = {"audio": "audio", "sam": "models.sam"}
_HOMES = {
    "VideoChunk": "types",
    "SegmentedFrame": "inference",
    "VideoMasks": "types",
    "Predictor": "inference",
    "SAVE": "models",
    "SegmentationResult": "inference",
    "load_model": "models",
    "read_video_chunks": "video",
    "segment": "inference",
    "segment_arrays": "inference",
    "stream": "inference",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        return _version()
    if name in _PACKAGES:
        return import_module(f"{__name__}.{_PACKAGES[name]}")
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("save-avs")
    except PackageNotFoundError:  # run from a source folder that was not installed
        return "0+source"
