"""What can be segmented and looked at again: a video file, or arrays in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from save_avs.inference.naming import source_of
from save_avs.media import VideoInfo, probe, read_clips
from save_avs.media.blocks import HeldSound, SoundBlock, window_around
from save_avs.types import Clip

RATE = 16_000  # samples a second, what most audio backbones hear
_MARGIN = 0.5  # seconds of sound to each side of a chunk


class Footage(Protocol):
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
        audio_rate: int = RATE,
        on_warning: Callable[[str], None] | None = None,
    ) -> Iterator[Clip]:
        """Read it from the start, chunk by chunk, its sound at ``audio_rate`` where it can be chosen."""
        ...


class VideoFile:
    """A file that FFmpeg reads.

    Raises:
        UsageError: no such file.
        MediaError: the file cannot be read as video.
    """

    def __init__(self, path: Path) -> None:
        self.video = probe(path)
        self.source = source_of(path)
        self.sound = {"audio_from": path} if self.video.has_audio else {}

    def clips(
        self,
        *,
        fps: float | None,
        chunk: int = 16,
        audio_rate: int = RATE,
        on_warning: Callable[[str], None] | None = None,
    ) -> Iterator[Clip]:
        """Read the file from the start."""
        return read_clips(self.video.path, fps=fps, chunk=chunk, audio_rate=audio_rate, on_warning=on_warning)


class InMemory:
    """One clip that is all there is.

    Args:
        clip: at least one frame; its sound begins at time 0.
        name: what files and messages call it.
    """

    def __init__(self, clip: Clip, name: str) -> None:
        self._clip = clip
        self.source = name
        self.sound = {"audio": (clip.wave, clip.rate)} if len(clip.wave) else {}
        _, height, width, _ = clip.frames.shape
        steps = np.diff(clip.times)
        step = float(np.median(steps)) if len(steps) else 1.0
        self.video = VideoInfo(
            path=Path(name),
            width=width,
            height=height,
            fps=1 / step,
            duration=float(clip.times[-1]) + step,
            has_audio=bool(len(clip.wave)),
            audio_rate=clip.rate if len(clip.wave) else 0,
            audio_layout="mono" if len(clip.wave) else "",
            pixel_aspect=Fraction(1),
            origin=0.0,
        )

    def clips(
        self,
        *,
        fps: float | None,
        chunk: int = 16,
        audio_rate: int = RATE,
        on_warning: Callable[[str], None] | None = None,
    ) -> Iterator[Clip]:
        """Cut the arrays into chunks; every frame is handed out, and the sound as it is."""
        whole = self._clip
        if not len(whole.wave) and on_warning is not None:
            on_warning(f"{self.source}: has no sound")
        held = HeldSound()
        held.add(SoundBlock(0, whole.wave[:, None]))
        for first in range(0, len(whole), chunk):
            times = whole.times[first : first + chunk]
            start, end = window_around(times, _MARGIN, whole.rate)
            yield replace(
                whole,
                frames=whole.frames[first : first + chunk],
                times=times,
                wave=held.cut(start, end)[:, 0] if len(whole.wave) else whole.wave,
                wave_start=start / whole.rate,
                first_index=first,
            )
