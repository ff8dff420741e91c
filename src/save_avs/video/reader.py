"""A video as a stream of clips: frames with their times, and the sound around them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import numpy as np

from save_avs.errors import UsageError
from save_avs.types import U8, VideoChunk
from save_avs.video.audio_blocks import AudioWindowReader, sample_range
from save_avs.video.audio_decoder import read_audio_blocks
from save_avs.video.container import Warn
from save_avs.video.frame_decoder import DecodedFrame, FrameReader
from save_avs.video.probe import VideoInfo, probe

# A clip never holds more than this, whatever its frame count: large pictures, or long pauses between them.
_CLIP_BYTES = 1 << 27
_CLIP_SECONDS = 60.0


def read_video_chunks(
    path: str | os.PathLike[str],
    *,
    fps: float | None = None,
    chunk: int = 16,
    sample_rate: int = 16000,
    margin: float = 0.5,
    on_warning: Warn | None = None,
) -> Iterator[VideoChunk]:
    """Read a video as a stream of clips, in bounded memory whatever its length.

    Times are seconds on the file's own clock, zero at the first picture or sound. The sound is mono and
    covers from ``margin`` before a clip's first frame to ``margin`` after its last: silence where the
    file has none, no samples at all when the file has no sound.

    Args:
        path: any local file that FFmpeg reads.
        fps: None hands out every frame at its own time; a number, one frame every 1/fps seconds from
            the first on, each the nearest in time.
        chunk: frames a clip at most (fewer when they are very large or far apart in time).
        sample_rate: samples of the sound a second.
        margin: seconds.
        on_warning: takes one line for each thing worth knowing: no sound, damage, a cut file.

    Raises:
        UsageError: no such file, or an ``fps`` that is not a positive number.
        MediaError: the file cannot be read as video. Both are raised by the call itself.

    Examples:
        >>> import save_avs
        >>> for clip in save_avs.read_video_chunks("clip.mp4", fps=1, chunk=4):
        ...     clip.first_index, clip.frames.shape, len(clip.waveform) / clip.sample_rate > 3
        (0, (4, 360, 640, 3), True)
        (4, (4, 360, 640, 3), True)
    """
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise UsageError(f"fps must be a positive number, not {fps}")
    info = probe(path)
    warn = on_warning or _ignore
    return _clips(info, fps=fps, chunk=chunk, sample_rate=sample_rate, margin=margin, warn=warn)


def _ignore(text: str) -> None:
    """Take a warning nobody asked for."""


def _clips(
    info: VideoInfo, *, fps: float | None, chunk: int, sample_rate: int, margin: float, warn: Warn
) -> Iterator[VideoChunk]:
    sound = None
    if info.has_audio:
        blocks = read_audio_blocks(
            info.path, sample_rate=sample_rate, layout="mono", origin=info.origin, on_warning=warn
        )
        sound = AudioWindowReader(blocks)
    else:
        warn(f"{info.path}: has no sound")
    index = 0
    for times, frames in _batches(_images(info, fps, warn), chunk):
        start, end = sample_range(times, margin, sample_rate)
        yield VideoChunk(
            frames=frames,
            times=np.array(times, dtype=np.float64),
            waveform=np.zeros(0, dtype=np.float32) if sound is None else sound.read(start, end)[:, 0],
            waveform_start=start / sample_rate,
            sample_rate=sample_rate,
            first_index=index,
        )
        index += len(frames)


def _images(info: VideoInfo, fps: float | None, warn: Warn) -> Iterator[tuple[float, U8]]:
    reader = FrameReader(info, warn)
    if fps is None:
        for picture in reader:
            yield picture.time, reader.rgb(picture)
        return
    shown: DecodedFrame | None = None
    image: U8 | None = None
    for time, picture in _paced(iter(reader), 1 / fps):
        if image is None or picture is not shown:
            shown, image = picture, reader.rgb(picture)
        yield time, image


def _paced(pictures: Iterator[DecodedFrame], step: float) -> Iterator[tuple[float, DecodedFrame]]:
    """Pair each time of an even grid from the first picture on with the picture nearest to it."""
    before = next(pictures, None)
    if before is None:
        return
    first, count = before.time, 0
    for after in pictures:
        while (time := first + count * step) <= after.time:
            yield time, before if time - before.time <= after.time - time else after
            count += 1
        before = after
    end = before.time + before.duration - min(step, before.duration) / 2
    while (time := first + count * step) < end or count == 0:
        yield time, before
        count += 1


def _batches(images: Iterator[tuple[float, U8]], chunk: int) -> Iterator[tuple[list[float], U8]]:
    times: list[float] = []
    frames = np.empty(0, dtype=np.uint8)
    for time, image in images:
        limit = max(1, min(chunk, _CLIP_BYTES // image.nbytes))
        if times and (len(times) >= limit or time - times[0] > _CLIP_SECONDS):
            yield times, frames[: len(times)]
            times = []
        if not times:
            frames = np.empty((limit, *image.shape), dtype=np.uint8)
        frames[len(times)] = image
        times.append(time)
    if times:
        yield times, frames[: len(times)]
