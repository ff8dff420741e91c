"""Types of what ``segment`` takes, its inputs and options, and of the progress that it reports."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from save_avs.inference.predictor import FrameModel
from save_avs.inference.spooled_input import ReadableFile, SpooledInput
from save_avs.video.container import Switch

VideoPath = str | os.PathLike[str] | ReadableFile | SpooledInput


@dataclass(frozen=True)
class FrameProgress:
    """Progress within one video."""

    frames: int  # processed so far
    time: float  # of the last of them, seconds from the start of the range
    duration: float | None  # of the range to segment, None when the file does not say
    elapsed: float  # seconds since the start

    @property
    def fraction(self) -> float | None:
        """Processed share of the video, 0..1."""
        return min(1.0, self.time / self.duration) if self.duration else None

    @property
    def frames_per_second(self) -> float:
        """Speed so far."""
        return self.frames / max(self.elapsed, 1e-9)

    @property
    def remaining(self) -> float | None:
        """Estimated seconds until the end."""
        return self.elapsed * (1 / self.fraction - 1) if self.fraction else None


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
