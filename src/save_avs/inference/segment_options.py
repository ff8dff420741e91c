"""Types of what ``segment`` takes: its inputs and its options."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from save_avs.inference.predictor import FrameModel
from save_avs.inference.progress import FrameProgress
from save_avs.inference.spooled_input import ReadableFile, SpooledInput
from save_avs.video.container import Switch

VideoPath = str | os.PathLike[str] | ReadableFile | SpooledInput


class SegmentOptions(TypedDict, total=False):
    """The options of ``segment``."""

    model: FrameModel | str | Path
    fps: float | None
    threshold: float
    outputs: tuple[str, ...]
    batch_size: int
    smooth: float
    objects: bool
    track: bool
    color: str
    opacity: float
    outline: float
    labels: bool
    tone_map: Switch
    deinterlace: Switch
    audio_track: int | None
    audio: str | os.PathLike[str] | None
    normalize_audio: bool
    start: float
    end: float | None
    directory: str | Path | None
    overwrite: bool
    on_progress: Callable[[FrameProgress], None] | None
    on_warning: Callable[[str], None] | None
