"""The sound of a file, on the same clock as its pictures, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from av.error import FFmpegError

from save_avs._files import open_regular
from save_avs.audio.channels import mix_matrix
from save_avs.errors import MediaError
from save_avs.types import F32
from save_avs.video.audio_blocks import AudioAssembler, AudioBlock
from save_avs.video.container import Warn, decode, open_media, pick_audio

# Sound does not pause longer than this, in seconds: a timestamp beyond is a damaged one.
_LONGEST_PAUSE = 6 * 3600.0
# A shorter jump is believed, unless the sound behind it is back where it was before.
_JUMP = 1.0


def read_audio_blocks(
    path: Path, *, sample_rate: int, layout: str, origin: float, on_warning: Warn | None = None
) -> Iterator[AudioBlock]:
    """Yield a file's sound in ascending blocks that never overlap; what lies between them is silence.

    Sample ``n`` of the clock is at ``n / sample_rate`` seconds after ``origin`` (in the file's own time).
    ``layout`` is one of ``mixing.AAC_LAYOUTS``. Damaged packets are left out; ``on_warning`` hears of
    the first.
    """
    assembly = AudioAssembler(sample_rate, layout)
    for time, source_rate, samples in _decoded(path, layout, origin, on_warning):
        yield from assembly.feed(time, source_rate, samples)
    yield from assembly.finish()


def _decoded(
    path: Path, layout: str, origin: float, on_warning: Warn | None
) -> Iterator[tuple[float | None, int, F32]]:
    """Yield (time or None, rate, samples f32 [S,C]) for each decoded frame of sound."""
    reached = 0.0
    warned = False

    def damaged(reason: str, fatal: bool) -> None:
        nonlocal warned
        # Where the whole file ends early, the pictures tell.
        if on_warning is not None and not warned and not fatal:
            warned = True
            on_warning(f"{path}: the sound is damaged at {max(reached, 0):.2f} s ({reason}); silence there")

    with open_media(path) as container:
        stream = pick_audio(container)
        if stream is None:
            return
        for frame, time in _timed(decode(container, stream, on_damage=damaged), origin):
            if time is not None:
                reached = time + frame.samples / frame.sample_rate
            yield time, frame.sample_rate, mixed(frame, layout)


def _timed(frames: Iterable[Any], origin: float) -> Iterator[tuple[Any, float | None]]:
    """Pair frames with their times after ``origin``; None where there is none, or a damaged one."""
    end: float | None = None  # of the sound so far
    for frame, after in pairwise(chain(frames, (None,))):
        time = None if frame.time is None else frame.time - origin
        if time is not None and end is not None and time > end + _JUMP:
            back = after is not None and after.time is not None and after.time < frame.time
            time = None if back or time > end + _LONGEST_PAUSE else time
        yield frame, time
        end = ((end or 0.0) if time is None else time) + frame.samples / frame.sample_rate


def mixed(frame: Any, layout: str) -> F32:
    """Turn a decoded frame of any sample format and layout into f32 [S,C] in -1..1."""
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
    waveform = samples @ mix_matrix(names, layout).T
    return np.clip(np.nan_to_num(waveform, copy=False), -1, 1)


def read_audio_file(path: str | Path, *, sample_rate: int) -> F32:
    """Decode the first audio track of a file, mixed to mono at ``sample_rate`` Hz, f32 [S].

    Raises:
        MediaError: when the file holds no sound that FFmpeg can read.
    """
    try:
        with open_regular(Path(path)) as file:
            return read_audio(file, name=str(path), sample_rate=sample_rate)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read as sound ({error.strerror})") from error


def read_audio(file: IO[bytes], *, name: str, sample_rate: int) -> F32:
    """Decode the first audio track of an open file, mixed to mono at ``sample_rate`` Hz, f32 [S].

    Args:
        file: at its beginning, seekable.
        name: what messages call it.
        sample_rate: samples a second.

    Raises:
        MediaError: when the file holds no sound that FFmpeg can read.
    """
    try:
        # The whitelist keeps playlists from opening anything else.
        options = {"protocol_whitelist": "none"}
        with av.open(file, "r", options=options, metadata_errors="replace") as container:
            resampler = av.AudioResampler("fltp", "mono", sample_rate)
            parts = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
            parts += resampler.resample(None)
    # ValueError: a damaged track may change its format halfway, which the resampler does not follow
    except (FFmpegError, IndexError, ValueError) as error:
        raise MediaError(f"{name}: cannot be read as sound ({error})") from error
    if not parts:
        raise MediaError(f"{name}: holds no sound")
    return np.concatenate([part.to_ndarray()[0] for part in parts]).astype(np.float32)
