"""The audio tracks of a file, and the choice of the one that belongs to a video."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from save_avs.errors import MediaError
from save_avs.video.container import open_media, pick_video
from save_avs.video.probe import VideoInfo, first_audio_frame, probe


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
