"""Videos to segment, which can be read more than once: a file, or arrays in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from save_avs._text import resolved_path_text
from save_avs.types import VideoChunk
from save_avs.video import VideoInfo, probe, read_video_chunks
from save_avs.video.audio_blocks import AudioBlock, AudioBuffer, sample_range

DEFAULT_SAMPLE_RATE = 16_000  # Hz, of most audio backbones
_AUDIO_MARGIN = 0.5  # seconds of sound before and after a chunk


class VideoSource(ABC):
    """Frames and their sound, on one clock.

    Attributes:
        video: size, frame rate, duration and audio of the video.
        name: identifies the video in written files: the absolute path of a file.
        audio: its sound, as keyword arguments of ``VideoWriter``.
    """

    def __init__(self, video: VideoInfo, name: str, audio: dict[str, Any]) -> None:
        self.video: VideoInfo = video
        self.name: str = name
        self.audio: dict[str, Any] = audio

    @abstractmethod
    def chunks(
        self,
        *,
        fps: float | None,
        chunk: int = 16,
        sample_rate: int = DEFAULT_SAMPLE_RATE,
        on_warning: Callable[[str], None] | None = None,
    ) -> Iterator[VideoChunk]:
        """Read the video from the start, ``chunk`` frames at a time, its sound resampled where possible."""


class FileSource(VideoSource):
    """A video file, read through FFmpeg.

    Raises:
        UsageError: no such file.
        MediaError: the file cannot be read as video.
    """

    def __init__(self, path: Path) -> None:
        video = probe(path)
        super().__init__(video, resolved_path_text(path), {"audio_from": path} if video.has_audio else {})

    def chunks(
        self,
        *,
        fps: float | None,
        chunk: int = 16,
        sample_rate: int = DEFAULT_SAMPLE_RATE,
        on_warning: Callable[[str], None] | None = None,
    ) -> Iterator[VideoChunk]:
        """Read the file."""
        return read_video_chunks(
            self.video.path, fps=fps, chunk=chunk, sample_rate=sample_rate, on_warning=on_warning
        )


class ArraySource(VideoSource):
    """Arrays in memory, as one chunk.

    Args:
        video_chunk: at least one frame; its sound begins at time 0.
        name: what files and messages call it.
    """

    def __init__(self, video_chunk: VideoChunk, name: str) -> None:
        self._video_chunk = video_chunk
        _, height, width, _ = video_chunk.frames.shape
        steps = np.diff(video_chunk.times)
        step = float(np.median(steps)) if len(steps) else 1.0
        has_audio = len(video_chunk.waveform) > 0
        video = VideoInfo(
            path=Path(name),
            width=width,
            height=height,
            fps=1 / step,
            duration=float(video_chunk.times[-1]) + step,
            has_audio=has_audio,
            sample_rate=video_chunk.sample_rate if has_audio else 0,
            audio_layout="mono" if has_audio else "",
            sample_aspect_ratio=Fraction(1),
            origin=0.0,
        )
        audio = {"audio": (video_chunk.waveform, video_chunk.sample_rate)} if has_audio else {}
        super().__init__(video, name, audio)

    def chunks(
        self,
        *,
        fps: float | None,
        chunk: int = 16,
        sample_rate: int = DEFAULT_SAMPLE_RATE,
        on_warning: Callable[[str], None] | None = None,
    ) -> Iterator[VideoChunk]:
        """Cut the arrays into chunks; every frame is returned, and the sound at its own sample rate."""
        arrays, has_audio = self._video_chunk, self.video.has_audio
        if not has_audio and on_warning is not None:
            on_warning(f"{self.name}: has no sound")
        buffer = AudioBuffer()
        buffer.add(AudioBlock(0, arrays.waveform[:, None]))
        for first in range(0, len(arrays), chunk):
            part = slice(first, first + chunk)
            start, end = sample_range(arrays.times[part], _AUDIO_MARGIN, arrays.sample_rate)
            yield replace(
                arrays,
                frames=arrays.frames[part],
                times=arrays.times[part],
                waveform=buffer.window(start, end)[:, 0] if has_audio else arrays.waveform,
                waveform_start=start / arrays.sample_rate,
                first_index=first,
            )
