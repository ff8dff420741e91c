"""Opening a file with FFmpeg, choosing its streams, and decoding past damage."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import ExitError, FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from save_avs.errors import MediaError, UsageError
from save_avs.video.timestamps import TimestampUnwrapper, may_restart

Warn = Callable[[str], None]

# FFmpeg "plays" text files as terminal art through these decoders.
_TEXT_CODECS = frozenset({"ansi", "bintext", "xbin", "idf"})

# Playlists make FFmpeg open other files than the one that was named.
_PLAYLISTS = (b"#EXTM3U", b"ffconcat")


# A read was given up. FFmpeg's own words for it are of no help.
TIMED_OUT = "nothing came in time"


def open_media(path: str | os.PathLike[str]) -> InputContainer:
    """Open a local file for reading.

    Raises:
        UsageError: no such file.
        MediaError: the file is empty, or not one that FFmpeg reads.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: " + ("a folder, not a file" if path.is_dir() else "no such file"))
    try:
        if path.stat().st_size == 0:
            raise MediaError(f"{path}: the file is empty (0 bytes)")
        if _is_playlist(path):
            raise MediaError(f"{path}: cannot be read as video (a playlist; name the files in it instead)")
        # The "file:" prefix keeps names with a colon from being taken for a network address, and the
        # whitelist keeps playlists from reaching outside.
        return av.open(
            f"file:{path}", mode="r", options={"protocol_whitelist": "file"}, metadata_errors="replace"
        )
    except (FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{path}: cannot be read as video ({reason(error)})") from error


def _is_playlist(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(1024)
    return head.startswith(_PLAYLISTS) or b"<MPD" in head


def reason(error: BaseException) -> str:
    """FFmpeg's or the system's own words, without the path and number around them."""
    if isinstance(error, ExitError):
        return TIMED_OUT
    return str(getattr(error, "strerror", None) or error)


def pick_video(container: InputContainer) -> VideoStream | None:
    """Choose the default or best video stream; cover pictures and text do not count."""
    usable = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    usable = [s for s in usable if _decodable(s) and s.codec_context.name not in _TEXT_CODECS]
    best = container.streams.best("video")
    return next((s for s in usable if best is not None and s.index == best.index), None) or _default(usable)


def pick_audio(container: InputContainer) -> AudioStream | None:
    """Choose the default or best sound stream; None when there is none that can be decoded."""
    usable = [s for s in container.streams.audio if _decodable(s)]
    best = container.streams.best("audio")
    return next((s for s in usable if best is not None and s.index == best.index), None) or _default(usable)


def _decodable(stream: Any) -> bool:
    return stream.codec_context is not None


def _default(streams: list[Any]) -> Any:
    return next((s for s in streams if s.disposition & Disposition.default), streams[0] if streams else None)


def decode(container: InputContainer, *streams: Any, on_damage: Callable[[str, bool], None]) -> Iterator[Any]:
    """Yield every frame of some streams that can be decoded, as they come.

    ``on_damage(reason, fatal)`` is called where a packet cannot be decoded (it is left out) and,
    with ``fatal``, where the file cannot be read any further.
    """
    packets = _packets(container, streams)
    torn = False
    while True:
        try:
            packet = next(packets, None)
        except (FFmpegError, OSError) as error:
            on_damage(reason(error), True)
            for stream in streams:
                yield from _drain(stream)
            return
        if packet is None:
            if torn:
                on_damage("the file breaks off", True)
            return
        if packet.size:
            torn = packet.is_corrupt
        try:
            frames = packet.decode()
        except FFmpegError as error:
            on_damage(reason(error), False)
            continue
        yield from frames


def _packets(container: InputContainer, streams: tuple[Any, ...]) -> Iterator[Any]:
    """Demultiplex streams, on a clock that does not jump back where the format lets it."""
    if not may_restart(container):
        yield from container.demux(*streams)
        return
    chosen = [s for s in (pick_video(container), pick_audio(container)) if s is not None]
    wanted = {stream.index for stream in streams}
    continuity = TimestampUnwrapper()
    for packet in container.demux(*chosen):
        continuity.move(packet)
        if packet.stream_index in wanted:
            yield packet


def _drain(stream: Any) -> list[Any]:
    try:
        frames = stream.codec_context.decode(None)
    except FFmpegError:
        return []
    for frame in frames:
        frame.time_base = stream.time_base  # which only packets bring along
    return frames
