"""Opening a media file with FFmpeg, choosing its streams, and decoding past damage."""

import math
import os
from collections.abc import Callable, Iterator
from itertools import dropwhile
from pathlib import Path
from typing import Any, Literal, TypeVar

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import ExitError, FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from save_avs.errors import MediaError, UsageError
from save_avs.video.timestamps import TimestampUnwrapper, may_restart

Switch = Literal["auto", "off"]
Warn = Callable[[str], None]
_Stream = TypeVar("_Stream", VideoStream, AudioStream)

# Of av.open: metadata that is not UTF-8 makes PyAV raise unless told otherwise, from 19 on never.
_MAJOR = int(av.__version__.split(".")[0])
ANY_METADATA: dict[str, Any] = {} if _MAJOR >= 19 else {"metadata_errors": "replace"}

_TEXT_CODECS = frozenset({"ansi", "bintext", "xbin", "idf"})  # FFmpeg decodes text files as terminal art
_PLAYLISTS = (b"#EXTM3U", b"ffconcat")  # FFmpeg would open the files that they name

MAX_FPS = 1000  # each frame of a slower video is segmented again: 10^9 of them would never end
TIMED_OUT = "nothing was received in time"  # replaces FFmpeg's own message, "Immediate exit requested"


def ignore_warning(message: str) -> None:
    """Discard a warning that the caller did not ask for."""


def check_read_options(
    fps: float | None, tone_map: str, deinterlace: str, start: float = 0.0, end: float | None = None
) -> None:
    """Raise a UsageError unless these options of ``read_video_chunks`` are in range."""
    if fps is not None and not 0 < fps <= MAX_FPS:
        raise UsageError(f"fps must be above 0 and at most {MAX_FPS}, or native, not {fps:g}")
    for name, value in (("tone_map", tone_map), ("deinterlace", deinterlace)):
        if value not in ("auto", "off"):
            raise UsageError(f"{name} must be auto or off, not {value!r}")
    for name, time in (("start", start), ("end", end)):
        if time is not None and not (math.isfinite(time) and time >= 0):
            raise UsageError(f"{name} must be a time of 0 or more seconds, not {time}")
    if end is not None and end <= start:
        raise UsageError(f"end must be after start: {end:g} s is not after {start:g} s")


def open_media(path: str | os.PathLike[str], what: str = "video") -> InputContainer:
    """Open a local file for reading; ``what`` it is wanted for is in the message if that fails.

    Raises:
        UsageError: no such file.
        MediaError: the file is empty, or FFmpeg cannot read it.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: " + ("a folder, not a file" if path.is_dir() else "no such file"))
    try:
        if path.stat().st_size == 0:
            raise MediaError(f"{path}: the file is empty (0 bytes)")
        if _is_playlist(path):
            raise MediaError(f"{path}: cannot be read as {what} (a playlist): pass the files in it instead")
        # "file:" keeps FFmpeg from taking a name with a colon for a URL, and the whitelist keeps playlists
        # from opening anything else.
        options = {"protocol_whitelist": "file"}
        return av.open(f"file:{path}", mode="r", options=options, **ANY_METADATA)
    except (FFmpegError, OSError, ValueError) as error:
        unfinished = "its index, moov, is missing: the recording or download was not finished"
        reason = unfinished if _lacks_index(path) else error_reason(error)
        raise MediaError(f"{path}: cannot be read as {what} ({reason})") from error


def _lacks_index(path: Path) -> bool:
    """Return whether an MP4 or MOV has no ``moov`` box, which recorders write when they stop."""
    kinds: set[bytes] = set()
    if not os.access(path, os.R_OK):
        return False
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            size = int.from_bytes(head[:4])
            kinds.add(head[4:])
            if size == 1:
                size = int.from_bytes(file.read(8)) - 8
            if size < 8 or b"ftyp" not in kinds:
                break
            file.seek(size - 8, os.SEEK_CUR)
    return {b"ftyp", b"mdat"} <= kinds and b"moov" not in kinds


def _is_playlist(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(1024)
    return head.startswith(_PLAYLISTS) or b"<MPD" in head


def error_reason(error: BaseException) -> str:
    """Return the message of FFmpeg or the system without the path and error number."""
    if isinstance(error, ExitError):
        return TIMED_OUT
    return str(getattr(error, "strerror", None) or error)


def pick_video(container: InputContainer) -> VideoStream | None:
    """Choose the video stream to decode; None when there is none besides cover images and text."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    streams = [s for s in streams if s.codec_context and s.codec_context.name not in _TEXT_CODECS]
    return _pick(streams, container.streams.best("video"))


def pick_audio(container: InputContainer, number: int | None = None) -> AudioStream | None:
    """Choose the audio stream to decode, or take that of a number from 1; None when it cannot be decoded."""
    if number is not None:
        stream = container.streams.audio[number - 1]
        return stream if stream.codec_context else None
    streams = [s for s in container.streams.audio if s.codec_context]
    return _pick(streams, container.streams.best("audio"))


def _pick(streams: list[_Stream], best: Any) -> _Stream | None:
    """Return FFmpeg's best stream if it is usable, else the default or first one."""
    for stream in streams:
        if best is not None and stream.index == best.index:
            return stream
    default = (s for s in streams if s.disposition & Disposition.default)
    return next(default, streams[0] if streams else None)


def decode(
    container: InputContainer,
    *streams: Any,
    on_damage: Callable[[str, bool], None] = lambda reason, fatal: None,
    skip: Callable[[Any], bool] = lambda packet: False,
) -> Iterator[Any]:
    """Yield every frame of some streams that can be decoded, in the order of the file.

    ``on_damage(reason, fatal)`` is called where a packet cannot be decoded (it is skipped) and, with
    ``fatal``, where the file cannot be read any further. The first packets, as long as ``skip`` returns
    True, are not decoded.
    """
    packets = dropwhile(skip, packets_of(container, streams))
    truncated = False
    while True:
        try:
            packet = next(packets, None)
        except (FFmpegError, OSError) as error:
            on_damage(error_reason(error), True)
            for stream in streams:
                yield from _flush(stream)
            return
        if packet is None:
            if truncated:
                on_damage("the file is truncated", True)
            return
        if packet.size:
            truncated = packet.is_corrupt
        elif packet.dts is not None:  # Theora, AVI: the last frame is shown for longer
            continue
        try:
            frames = packet.decode()
        except FFmpegError as error:
            on_damage(error_reason(error), False)
            continue
        yield from frames


def packets_of(container: InputContainer, streams: tuple[Any, ...]) -> Iterator[Any]:
    """Demultiplex streams, with timestamps unwrapped where the format allows them to restart."""
    if not may_restart(container):
        yield from container.demux(*streams)
        return
    picked = [s for s in (pick_video(container), pick_audio(container)) if s is not None]
    wanted = {stream.index for stream in streams}
    unwrapper = TimestampUnwrapper()
    for packet in container.demux(*picked):
        unwrapper.unwrap(packet)
        if packet.stream_index in wanted:
            yield packet


def _flush(stream: Any) -> list[Any]:
    try:
        frames = stream.codec_context.decode(None)
    except FFmpegError:
        return []
    for frame in frames:
        frame.time_base = stream.time_base  # set by packets only
    return frames
