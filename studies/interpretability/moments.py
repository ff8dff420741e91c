"""Moments of a video: a frame and the sound around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.audio.log_mel import log_mel_at
from save_avs.errors import UsageError
from save_avs.types import F32, U8
from save_avs.video import probe, read_video_chunks

MOMENTS = 4  # that are shown where none are named


@dataclass(frozen=True)
class Moment:
    """A frame, RGB u8 [H,W,3], its time in seconds, and the patch around it, f32 [frames,bands]."""

    time: float
    frame: U8
    patch: F32


def moments_of(path: str | Path, times: Sequence[float] = (), frontend: Frontend = VGGISH) -> list[Moment]:
    """The frames of a video that are nearest to some times, in order; without times, a few spread evenly.

    Raises:
        UsageError: no such file, or a time beyond its end.
        MediaError: it cannot be read as video.
    """
    info = probe(path)
    if not times:
        length = info.duration or 1.0
        times = [length * (k + 0.5) / MOMENTS for k in range(MOMENTS)]
    wanted, found = sorted(times), []
    for clip in read_video_chunks(path):
        inside = [t for t in wanted if t <= clip.times[-1] + 0.5 / info.fps]
        wanted = wanted[len(inside) :]
        for time in inside:
            k = int(np.abs(clip.times - time).argmin())
            patch = log_mel_at(
                clip.waveform, clip.sample_rate, clip.times[k : k + 1], clip.waveform_start, frontend
            )[0]
            found.append(Moment(float(clip.times[k]), clip.frames[k], patch))
        if not wanted:
            return found
    raise UsageError(f"{path} has no frame at {wanted[0]:g} s: it ends before")
