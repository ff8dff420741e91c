"""SAVE: a video goes in, pixel masks of what makes the sound come out.

The names below are imported when they are first used: torch takes seconds, and the command line must not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from save_avs import audio, sam
    from save_avs.inference import (
        MarkedFrame,
        Predictor,
        SegmentationResult,
        segment,
        segment_arrays,
        stream,
    )
    from save_avs.media import read_clips
    from save_avs.model import SAVE, load_model
    from save_avs.types import Clip, MaskTrack

    __version__: str

__all__ = [
    "SAVE",
    "Clip",
    "MarkedFrame",
    "MaskTrack",
    "Predictor",
    "SegmentationResult",
    "__version__",
    "audio",
    "load_model",
    "read_clips",
    "sam",
    "segment",
    "segment_arrays",
    "stream",
]

_ROOMS = ("audio", "sam")
_HOMES = {
    "Clip": "types",
    "MarkedFrame": "inference",
    "MaskTrack": "types",
    "Predictor": "inference",
    "SAVE": "model",
    "SegmentationResult": "inference",
    "load_model": "model",
    "read_clips": "media",
    "segment": "inference",
    "segment_arrays": "inference",
    "stream": "inference",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        return _version()
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
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
