"""Size, frame rate, duration and audio of a video, from its header and first frames; its audio tracks."""

import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from save_avs.errors import MediaError
from save_avs.video.container import decode, open_media, pick_audio, pick_video
from save_avs.video.rgb import orientation_of
from save_avs.video.timestamps import best_effort_times

_MAX_PIXELS = 15360 * 8640


@dataclass(frozen=True)
class VideoInfo:
    """A video as it is displayed: upright, on one clock."""

    path: Path  # the file
    width: int  # pixels across, after rotation
    height: int  # pixels down, after rotation
    fps: float  # average frames per second (an estimate where the rate varies)
    # seconds from the start of the clock to the end of the last frame; None when the file does not say
    duration: float | None
    has_audio: bool  # there is audio that can be decoded
    sample_rate: int  # audio samples per second; 0 without audio
    audio_layout: str  # FFmpeg's name of the channel layout; empty without audio
    sample_aspect_ratio: Fraction  # width of a pixel over its height, after rotation
    # the file's own timestamp, in seconds, at which our clock is zero: that of the first frame or sound,
    # whichever is earlier
    origin: float


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Read size, frame rate, duration and audio format of a video file.

    Raises:
        UsageError: no such file.
        MediaError: the file cannot be read as video: not media, empty, audio only, no frame that can be
            decoded, or more pixels than 16K.
    """
    path = Path(path)
    with open_media(path) as container:
        stream = pick_video(container)
        if stream is None:
            what = "no video in it" if pick_audio(container) is None else "sound only, no video"
            raise MediaError(f"{path}: {what}")
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > _MAX_PIXELS:  # as the header declares; before one frame is decoded
            raise MediaError(f"{path}: {width} x {height} pixels, more than 16K: scale it down first")
        decoded = decode(container, stream)
        frame, first_time = next(best_effort_times(decoded, container, stream), (None, None))
        if frame is None:
            raise MediaError(f"{path}: no frame can be decoded ({stream.codec_context.name})")
        orientation = orientation_of(frame)
        width, height = orientation.size(frame.width, frame.height)
        aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
        video_start = first_time or 0.0
        audio = first_audio_frame(path)
        origin = video_start if audio is None else min(video_start, audio.time or 0.0)
        return VideoInfo(
            path=path,
            width=width,
            height=height,
            fps=float(stream.average_rate or stream.guessed_rate or 25),
            duration=_duration(container, stream, origin),
            has_audio=audio is not None,
            sample_rate=audio.sample_rate if audio else 0,
            audio_layout=audio.layout.name if audio else "",
            sample_aspect_ratio=1 / aspect if orientation.transpose else aspect,
            origin=origin,
        )


def header_duration(path: Path) -> float | None:
    """Read the seconds that the header of a file of sound states; None when it does not say.

    Raises:
        MediaError: FFmpeg cannot read the file.
    """
    with open_media(path, "audio") as container:
        return None if container.duration is None else container.duration / 1e6


def first_audio_frame(path: Path, number: int | None = None) -> Any:
    """Decode the first frame of an audio track (``pick_audio``), None where there is none.

    Its timestamp is exact; that of the header may include the delay of the encoder.
    """
    with open_media(path) as container:
        stream = pick_audio(container, number)
        return None if stream is None else next(decode(container, stream), None)


def _duration(container: Any, stream: Any, origin: float) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base) - origin
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:  # Matroska, as most tools write it: the timestamp at which the track ends
        hours, minutes, seconds = (float(x) for x in tag.groups())
        return 3600 * hours + 60 * minutes + seconds - origin
    if container.duration is not None:
        return ((container.start_time or 0) + container.duration) / 1e6 - origin
    return None


@dataclass(frozen=True, kw_only=True)
class AudioTrack:
    """An audio track on the clock of a video."""

    path: Path  # the file
    number: int | None  # among the file's audio tracks, from 1; None for the one that players choose
    origin: float  # the file's own timestamp, in seconds, at which the clock is zero
    sample_rate: int  # samples per second
    layout: str  # FFmpeg's name of the channel layout


def choose_audio(
    video: VideoInfo, number: int | None = None, file: str | os.PathLike[str] | None = None
) -> AudioTrack | None:
    """Return the sound of a video; None when it has none and no other is asked for.

    Args:
        video: the video.
        number: of the track to take, from 1; None for the one that players choose.
        file: another file whose sound to take, its time 0 at that of the video.

    Raises:
        UsageError: no such file.
        MediaError: no such track, or no audio that can be decoded.
    """
    if number is None and file is None:
        if not video.has_audio:
            return None
        layout = {"sample_rate": video.sample_rate, "layout": video.audio_layout}
        return AudioTrack(path=video.path, number=None, origin=video.origin, **layout)
    path = video.path if file is None else Path(file)
    with open_media(path, "video" if file is None else "audio") as container:
        check_track(path, container, number)
        has_video = pick_video(container) is not None
    frame = first_audio_frame(path, number)
    if frame is None:
        raise MediaError(f"{path}: no audio in it that can be decoded")
    own = probe(path).origin if file is not None and has_video else frame.time or 0.0
    return AudioTrack(
        path=path,
        number=number,
        origin=video.origin if file is None else own,
        sample_rate=frame.sample_rate,
        layout=frame.layout.name,
    )


def check_track(path: str | os.PathLike[str], container: Any, number: int | None) -> None:
    """Raise a MediaError that names the audio tracks of a file, unless the one of a number is there."""
    tracks = list(container.streams.audio)
    if number is None or number <= len(tracks):
        return
    names = ", ".join(f"{n} ({_describe(stream)})" for n, stream in enumerate(tracks, start=1))
    raise MediaError(
        f"{path}: has no audio track {number}: " + (f"choose from {names}" if tracks else "it has no sound")
    )


def _describe(stream: Any) -> str:
    """Return codec, channels and language of an audio stream, as far as they are known."""
    context = stream.codec_context
    layouts = {1: "mono", 2: "stereo"}  # which some formats do not name
    channels = context and layouts.get(context.channels, context.layout.name)
    parts = (context.name, channels) if context else ("unknown codec",)
    return ", ".join(part for part in (*parts, stream.language) if part)
