"""What can be segmented and looked at again: a video file, or arrays in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from save_avs._text import resolved_path_text
from save_avs.types import VideoChunk
from save_avs.video import VideoInfo, probe, read_video_chunks
from save_avs.video.audio_blocks import AudioBlock, AudioBuffer, sample_range

RATE = 16_000  # samples a second, what most audio backbones hear
_MARGIN = 0.5  # seconds of sound to each side of a chunk


class VideoSource(Protocol):
    """Pictures and their sound, on one clock, that can be read more than once."""

    @property
    def video(self) -> VideoInfo:
        """What it holds."""
        ...

    @property
    def source(self) -> str:
        """What tells it from others, in the files we write."""
        ...

    @property
    def sound(self) -> dict[str, Any]:
        """Its sound, as ``VideoWriter`` takes it."""
        ...

    def clips(
        self,
        *,
        fps: float | None,
        chunk: int = 16,
        sample_rate: int = RATE,
        on_warning: Callable[[str], None] | None = None,
    ) -> Iterator[VideoChunk]:
        """Read it from the start, chunk by chunk, its sound at ``sample_rate`` where it can be chosen."""
        ...


class FileSource:
    """A file that FFmpeg reads.

    Raises:
        UsageError: no such file.
        MediaError: the file cannot be read as video.
    """

    def __init__(self, path: Path) -> None:
        self.video = probe(path)
        self.source = resolved_path_text(path)
        self.sound = {"audio_from": path} if self.video.has_audio else {}

    def clips(
        self,
        *,
        fps: float | None,
        chunk: int = 16,
        sample_rate: int = RATE,
        on_warning: Callable[[str], None] | None = None,
    ) -> Iterator[VideoChunk]:
        """Read the file from the start."""
        return read_video_chunks(
            self.video.path, fps=fps, chunk=chunk, sample_rate=sample_rate, on_warning=on_warning
        )


class ArraySource:
    """One clip that is all there is.

    Args:
        clip: at least one frame; its sound begins at time 0.
        name: what files and messages call it.
    """

    def __init__(self, clip: VideoChunk, name: str) -> None:
        self._clip = clip
        self.source = name
        self.sound = {"audio": (clip.waveform, clip.sample_rate)} if len(clip.waveform) else {}
        _, height, width, _ = clip.frames.shape
        steps = np.diff(clip.times)
        step = float(np.median(steps)) if len(steps) else 1.0
        self.video = VideoInfo(
            path=Path(name),
            width=width,
            height=height,
            fps=1 / step,
            duration=float(clip.times[-1]) + step,
            has_audio=bool(len(clip.waveform)),
            sample_rate=clip.sample_rate if len(clip.waveform) else 0,
            audio_layout="mono" if len(clip.waveform) else "",
            sample_aspect_ratio=Fraction(1),
            origin=0.0,
        )

    def clips(
        self,
        *,
        fps: float | None,
        chunk: int = 16,
        sample_rate: int = RATE,
        on_warning: Callable[[str], None] | None = None,
    ) -> Iterator[VideoChunk]:
        """Cut the arrays into chunks; every frame is handed out, and the sound as it is."""
        whole = self._clip
        if not len(whole.waveform) and on_warning is not None:
            on_warning(f"{self.source}: has no sound")
        held = AudioBuffer()
        held.add(AudioBlock(0, whole.waveform[:, None]))
        for first in range(0, len(whole), chunk):
            times = whole.times[first : first + chunk]
            start, end = sample_range(times, _MARGIN, whole.sample_rate)
            yield replace(
                whole,
                frames=whole.frames[first : first + chunk],
                times=times,
                waveform=held.window(start, end)[:, 0] if len(whole.waveform) else whole.waveform,
                waveform_start=start / whole.sample_rate,
                first_index=first,
            )
