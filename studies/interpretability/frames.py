"""Frames of a video at given times, with their audio."""

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

DEFAULT_FRAMES = 4  # evenly spread, if no times are given


@dataclass(frozen=True)
class TimedFrame:
    """A frame, RGB u8 [H,W,3], its time in seconds, and the log-mel around it, f32 [frames,bands]."""

    time: float
    image: U8
    log_mel: F32


def read_frames_at(
    path: str | Path, times: Sequence[float] = (), frontend: Frontend = VGGISH
) -> list[TimedFrame]:
    """Read the frames of a video nearest to some times, in order; without times, a few evenly spread.

    Raises:
        UsageError: there is no such file, or a time is after its end.
        MediaError: it cannot be read as a video.
    """
    info = probe(path)
    if not times:
        duration = info.duration or 1.0
        times = [duration * (k + 0.5) / DEFAULT_FRAMES for k in range(DEFAULT_FRAMES)]
    pending, frames = sorted(times), []
    for chunk in read_video_chunks(path):
        inside = [t for t in pending if t <= chunk.times[-1] + 0.5 / info.fps]
        pending = pending[len(inside) :]
        for time in inside:
            k = int(np.abs(chunk.times - time).argmin())
            log_mel = log_mel_at(
                chunk.waveform, chunk.sample_rate, chunk.times[k : k + 1], chunk.waveform_start, frontend
            )[0]
            frames.append(TimedFrame(float(chunk.times[k]), chunk.frames[k], log_mel))
        if not pending:
            return frames
    raise UsageError(f"{path}: no frame at {pending[0]:g} s, which is after the end")
