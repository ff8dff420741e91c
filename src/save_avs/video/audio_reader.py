"""Audio of a file: as blocks on the clock of its video, or complete as one mono waveform."""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, pairwise
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from av.error import FFmpegError

from save_avs._files import open_regular
from save_avs.audio.channel_mixing import mix_matrix
from save_avs.errors import MediaError
from save_avs.types import F32
from save_avs.video.audio_blocks import AudioAssembler, AudioBlock
from save_avs.video.container import (
    ANY_METADATA,
    Warn,
    decode,
    error_reason,
    ignore_warning,
    open_media,
    pick_audio,
)
from save_avs.video.probe import AudioTrack, check_track

# Seconds: a longer pause comes from a damaged timestamp.
_MAX_PAUSE = 6 * 3600.0
# Seconds decoded before those that are wanted: decoders and resamplers need a while to settle.
_RUN_IN = 1.0
# Seconds: a longer pause is ignored if the timestamp after it jumps back.
_FORWARD_JUMP = 1.0


def read_audio_blocks(
    track: AudioTrack,
    *,
    sample_rate: int,
    layout: str,
    start: float = -math.inf,
    end: float = math.inf,
    on_warning: Warn = ignore_warning,
) -> Iterator[AudioBlock]:
    """Yield an audio track in ascending blocks that never overlap; gaps between them are silence.

    Sample ``n`` is at ``n / sample_rate`` seconds on the clock. ``layout`` is one of
    ``channels.AAC_LAYOUTS``. Packets of other times than those from ``start`` to ``end`` seconds are not
    decoded. Damaged packets are skipped; ``on_warning`` is called for the first.
    """
    assembler = AudioAssembler(sample_rate, layout)
    reached = 0.0
    warned = False

    def on_damage(reason: str, fatal: bool) -> None:
        nonlocal warned
        if not warned and not fatal:  # the reader of the video reports where the whole file ends early
            warned = True
            on_warning(
                f"{track.path}: damaged audio at {max(reached, 0):.2f} s ({reason}): replaced by silence"
            )

    with open_media(track.path) as container:
        stream = pick_audio(container, track.number)
        if stream is None:
            return
        skip = _skip_until(start - _RUN_IN + track.origin)
        decoded = decode(container, stream, on_damage=on_damage, skip=skip)
        for frame, time in _with_times(decoded, track.origin):
            if time is not None:
                if time > end:
                    break
                reached = time + frame.samples / frame.sample_rate
            yield from assembler.feed(time, frame.sample_rate, mix_frame(frame, layout))
    yield from assembler.finish()


def _skip_until(timestamp: float) -> Callable[[Any], bool]:
    """Return whether to skip a packet, before a timestamp in seconds; in tracks without timestamps, none."""
    has_times = False

    def skip(packet: Any) -> bool:
        nonlocal has_times
        if packet.pts is None:
            return has_times
        has_times = True
        return packet.pts * packet.time_base < timestamp

    return skip


def _with_times(frames: Iterable[Any], origin: float) -> Iterator[tuple[Any, float | None]]:
    """Pair frames with their times after ``origin``; None where a timestamp is missing or damaged."""
    end: float | None = None  # of the audio so far
    for frame, following in pairwise(chain(frames, (None,))):
        time = None if frame.time is None else frame.time - origin
        if time is not None and end is not None and time > end + _FORWARD_JUMP:
            jumps_back = following is not None and following.time is not None and following.time < frame.time
            time = None if jumps_back or time > end + _MAX_PAUSE else time
        yield frame, time
        end = ((end or 0.0) if time is None else time) + frame.samples / frame.sample_rate


def mix_frame(frame: Any, layout: str) -> F32:
    """Convert a decoded frame of any sample format and channel layout to f32 [S,C] in -1..1."""
    return np.clip(np.nan_to_num(_mix(frame, layout), copy=False), -1, 1)


def _mix(frame: Any, layout: str) -> F32:
    raw = frame.to_ndarray()
    names = tuple(channel.name for channel in frame.layout.channels)
    # planar: [C,S]; packed: [1, S*C]
    columns = raw.T if frame.format.is_planar else raw.reshape(-1, len(names))
    if raw.dtype == np.uint8:
        samples = (columns.astype(np.float32) - 128) / 128
    elif np.issubdtype(raw.dtype, np.integer):
        samples = (columns / -float(np.iinfo(raw.dtype).min)).astype(np.float32)
    else:
        samples = columns.astype(np.float32)
    return samples @ mix_matrix(names, layout).T


def load_audio(path: str | Path, *, sample_rate: int, track: int = 1) -> F32:
    """Decode an audio track of a file; documented as ``save_avs.audio.load_audio``."""
    try:
        with open_regular(Path(path)) as file:
            return read_audio(file, name=str(path), sample_rate=sample_rate, track=track)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read as audio ({error.strerror})") from error


def read_audio(file: IO[bytes], *, name: str, sample_rate: int, track: int = 1) -> F32:
    """Decode an audio track, counted from 1, of a file open at its beginning, as `load_audio` does.

    Raises:
        MediaError: the file, called ``name``, has no such track, or no audio that FFmpeg can read.
    """
    assembler = AudioAssembler(sample_rate, "mono")
    blocks: list[AudioBlock] = []
    try:
        options = {"protocol_whitelist": "none"}  # keeps playlists from opening anything else
        with av.open(file, "r", options=options, **ANY_METADATA) as container:
            check_track(name, container, None if track == 1 else track)
            for frame in container.decode(audio=track - 1):
                blocks += assembler.feed(None, frame.sample_rate, _mix(frame, "mono"))
        blocks += assembler.finish()
    except (FFmpegError, IndexError, ValueError) as error:
        raise MediaError(f"{name}: cannot be read as audio ({error_reason(error)})") from error
    if not blocks:
        raise MediaError(f"{name}: no audio in it")
    return np.concatenate([block.samples[:, 0] for block in blocks])
