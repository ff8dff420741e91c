"""A video as a stream of clips: frames with their times, and the sound around them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from save_avs.errors import UsageError
from save_avs.types import U8, VideoChunk
from save_avs.video.audio_blocks import AudioWindowReader, sample_range
from save_avs.video.audio_reader import read_audio_blocks
from save_avs.video.container import Warn, decode, open_media, pick_video
from save_avs.video.probe import VideoInfo, probe
from save_avs.video.rotation import UprightConverter

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


# A file that ends this much before its header says, in seconds, has been cut.
_CUT = 0.5


@dataclass(frozen=True)
class DecodedFrame:
    """A decoded frame, still in its coded colors: ``time`` and ``duration`` in seconds."""

    time: float
    duration: float
    frame: Any


class FrameReader:
    """Decodes the pictures of one file.

    Iterating yields every decoded frame at its own time; :meth:`rgb` converts those that are needed.
    ``on_warning`` hears once of damage, of a cut file (and how far it could be read), of timestamps
    that run backwards, and of a picture size that changes.
    """

    def __init__(self, info: VideoInfo, on_warning: Warn) -> None:
        self._info = info
        self._warn_caller = on_warning
        self._said: set[str] = set()
        self._rgb = UprightConverter(info.width, info.height)
        self._end = 0.0
        self._torn = ""

    def __iter__(self) -> Iterator[DecodedFrame]:
        step = 1 / self._info.fps
        last: float | None = None
        with open_media(self._info.path) as container:
            stream: Any = pick_video(container)
            stream.thread_type = "AUTO"
            for frame in decode(container, stream, on_damage=self._damaged):
                time = self._time(frame, last, step)
                if last is not None and time <= last:
                    self._warn(
                        "order", f"timestamps run backwards at {last:.2f} s; those frames are left out"
                    )
                    continue
                if last is not None:
                    step = time - last
                last = time
                duration = float(frame.duration * frame.time_base) if frame.duration else step
                self._end = time + duration
                yield DecodedFrame(time, duration, frame)
        self._check_end()

    def _time(self, frame: Any, last: float | None, step: float) -> float:
        if frame.pts is not None:
            return float(frame.pts * frame.time_base) - self._info.origin
        # Raw streams (.h264) carry no timestamps at all: only the frame rate places their frames.
        return 0.0 if last is None else last + step

    def rgb(self, picture: DecodedFrame) -> U8:
        """Convert to RGB, upright, u8 [H,W,3] of the size that ``info`` names."""
        if not self._rgb.fits(picture.frame):
            self._warn("size", f"the picture size changes at {picture.time:.2f} s; it is scaled to the first")
        return self._rgb(picture.frame)

    def _damaged(self, reason: str, fatal: bool) -> None:
        if fatal:
            self._torn = reason
        else:
            self._warn(
                "damage", f"damaged at {self._end:.2f} s ({reason}); what cannot be decoded is left out"
            )

    def _check_end(self) -> None:
        declared = self._info.duration
        if declared is not None and declared - self._end > _CUT and declared - self._reach() > _CUT:
            self._warn("end", f"can be read only up to {self._end:.2f} s of {declared:.2f} s")
        elif self._torn:
            self._warn("end", f"can be read only up to {self._end:.2f} s ({self._torn})")

    def _reach(self) -> float:
        """End of the last packet of any stream: sound may go on behind the last picture."""
        end = 0.0
        with open_media(self._info.path) as container:
            for packet in container.demux():
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        return end - self._info.origin

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self._warn_caller(f"{self._info.path}: {text}")
