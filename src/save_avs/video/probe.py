"""What a video file holds, found by reading its header and its first frames."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from save_avs.errors import MediaError
from save_avs.video.container import decode, open_media, pick_audio, pick_video
from save_avs.video.rotation import orientation_of

_MOST_PIXELS = 15360 * 8640


@dataclass(frozen=True)
class VideoInfo:
    """A video as it is shown: upright, on one clock.

    Attributes:
        path: the file.
        width: pixels across, after rotation.
        height: pixels down, after rotation.
        fps: average frames a second (an estimate where the rate varies).
        duration: seconds from the start of the clock to the end of the pictures; None when the file
            does not say.
        has_audio: there is sound that can be decoded.
        sample_rate: samples a second; 0 without sound.
        audio_layout: FFmpeg's name of the channel layout; empty without sound.
        sample_aspect_ratio: width of a pixel over its height, after rotation.
        origin: the file's own timestamp, in seconds, at which our clock is zero: the earlier of the
            first picture and the first sound.
    """

    path: Path
    width: int
    height: int
    fps: float
    duration: float | None
    has_audio: bool
    sample_rate: int
    audio_layout: str
    sample_aspect_ratio: Fraction
    origin: float


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Read what a video file holds.

    Raises:
        UsageError: no such file.
        MediaError: the file cannot be read as video: not media, empty, sound only, no picture decodes, or it
            has more pixels than 16K.
    """
    path = Path(path)
    with open_media(path) as container:
        stream = pick_video(container)
        if stream is None:
            what = "sound only, no video" if pick_audio(container) is not None else "no video in it"
            raise MediaError(f"{path}: {what}")
        _check_size(path, stream.codec_context.width, stream.codec_context.height)
        frame = next(decode(container, stream, on_damage=_ignore), None)
        if frame is None:
            raise MediaError(f"{path}: no picture in it can be decoded ({stream.codec_context.name})")
        turn = orientation_of(frame)
        width, height = turn.size(frame.width, frame.height)
        aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
        first_picture = frame.time or 0.0
        sound = _first_sound(path)
        origin = first_picture if sound is None else min(first_picture, sound.time or 0.0)
        return VideoInfo(
            path=path,
            width=width,
            height=height,
            fps=float(stream.average_rate or stream.guessed_rate or 25),
            duration=_duration(container, stream, origin),
            has_audio=sound is not None,
            sample_rate=sound.sample_rate if sound else 0,
            audio_layout=sound.layout.name if sound else "",
            sample_aspect_ratio=1 / aspect if turn.transpose else aspect,
            origin=origin,
        )


def _check_size(path: Path, width: int, height: int) -> None:
    """Refuse what a header says is too large, before a picture is decoded."""
    if width * height > _MOST_PIXELS:
        raise MediaError(f"{path}: {width} x {height} pixels, more than 16K; make it smaller")


def _ignore(reason: str, fatal: bool) -> None:
    """Damage is reported by the readers, not by a probe."""


def _first_sound(path: Path) -> Any:
    """Decode the first frame of sound: its timestamp counts, the header's may include encoder delay."""
    with open_media(path) as container:
        stream = pick_audio(container)
        return None if stream is None else next(decode(container, stream, on_damage=_ignore), None)


def _duration(container: Any, stream: Any, origin: float) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return (
            float((stream.start_time or 0) * stream.time_base + stream.duration * stream.time_base) - origin
        )
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:  # Matroska, as most tools write it: the timestamp at which the track ends
        hours, minutes, seconds = (float(x) for x in tag.groups())
        return 3600 * hours + 60 * minutes + seconds - origin
    if container.duration is not None:
        return ((container.start_time or 0) + container.duration) / 1e6 - origin
    return None
