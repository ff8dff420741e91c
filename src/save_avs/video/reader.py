"""Reading a video file as a stream of chunks: frames with their times, and the audio around them."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from save_avs.types import U8, VideoChunk
from save_avs.video.audio_blocks import AudioWindowReader, sample_range
from save_avs.video.audio_reader import read_audio_blocks
from save_avs.video.container import Warn, check_fps, decode, ignore_warning, open_media, pick_video
from save_avs.video.probe import VideoInfo, probe
from save_avs.video.rotation import UprightConverter

# Limits of a chunk whatever its frame count: large frames, or long pauses between them.
_MAX_CHUNK_BYTES = 1 << 27
_MAX_CHUNK_SECONDS = 60.0
# Seconds between the end of the last frame and the end that the header declares: more, and the file was cut.
_CUT = 0.5


def read_video_chunks(
    path: str | os.PathLike[str],
    *,
    fps: float | None = None,
    chunk: int = 16,
    sample_rate: int = 16000,
    audio_margin: float = 0.5,
    on_warning: Warn | None = None,
) -> Generator[VideoChunk, None, None]:
    """Read a video as a stream of chunks, in bounded memory whatever its length.

    Times are seconds on the file's own clock, zero at the first video or audio frame. The audio is mono and
    covers ``audio_margin`` seconds before a chunk's first frame to ``audio_margin`` after its last: silence
    where the file has none, no samples at all when the file has no audio.

    Args:
        path: any local file that FFmpeg reads.
        fps: None yields every frame at its own time; a number, one frame every 1/fps seconds from the first
            frame on, each the nearest in time.
        chunk: frames per chunk at most (fewer when they are very large or far apart in time).
        sample_rate: audio samples per second.
        audio_margin: seconds of audio on each side of a chunk's frames.
        on_warning: called with one line for each thing worth knowing: no audio, damage, a cut file.

    Raises:
        UsageError: no such file, or an ``fps`` that is not a positive number.
        MediaError: the file cannot be read as video. Both are raised by the call itself.

    Examples:
        >>> import save_avs
        >>> for chunk in save_avs.read_video_chunks("clip.mp4", fps=1, chunk=4):
        ...     chunk.first_index, chunk.frames.shape, len(chunk.waveform) / chunk.sample_rate > 3
        (0, (4, 360, 640, 3), True)
        (4, (4, 360, 640, 3), True)
    """
    check_fps(fps)
    info = probe(path)
    return _chunks(info, fps, chunk, sample_rate, audio_margin, on_warning or ignore_warning)


def _chunks(
    info: VideoInfo, fps: float | None, chunk: int, sample_rate: int, audio_margin: float, on_warning: Warn
) -> Generator[VideoChunk, None, None]:
    audio = None
    if info.has_audio:
        blocks = read_audio_blocks(
            info.path, sample_rate=sample_rate, layout="mono", origin=info.origin, on_warning=on_warning
        )
        audio = AudioWindowReader(blocks)
    else:
        on_warning(f"{info.path}: has no sound")
    index = 0
    for times, frames in _batches(_images(info, fps, on_warning), chunk):
        start, end = sample_range(times, audio_margin, sample_rate)
        yield VideoChunk(
            frames=frames,
            times=np.array(times, dtype=np.float64),
            waveform=np.zeros(0, dtype=np.float32) if audio is None else audio.read(start, end)[:, 0],
            waveform_start=start / sample_rate,
            sample_rate=sample_rate,
            first_index=index,
        )
        index += len(frames)


def _images(info: VideoInfo, fps: float | None, on_warning: Warn) -> Iterator[tuple[float, U8]]:
    reader = _FrameReader(info, on_warning)
    if fps is None:
        for frame in reader:
            yield frame.time, reader.rgb(frame)
        return
    converted: _TimedFrame | None = None
    image: U8 | None = None
    for time, frame in _resample_frames(iter(reader), 1 / fps):
        if image is None or frame is not converted:
            converted, image = frame, reader.rgb(frame)
        yield time, image


def _resample_frames(frames: Iterator[_TimedFrame], interval: float) -> Iterator[tuple[float, _TimedFrame]]:
    """Pair each time of an even grid, from the first frame on, with the frame nearest to it."""
    before = next(frames, None)
    if before is None:
        return
    first, count = before.time, 0
    for after in frames:
        while (time := first + count * interval) <= after.time:
            yield time, before if time - before.time <= after.time - time else after
            count += 1
        before = after
    end = before.time + before.duration - min(interval, before.duration) / 2
    while (time := first + count * interval) < end or count == 0:
        yield time, before
        count += 1


def _batches(images: Iterator[tuple[float, U8]], chunk: int) -> Iterator[tuple[list[float], U8]]:
    times: list[float] = []
    frames = np.empty(0, dtype=np.uint8)
    for time, image in images:
        limit = max(1, min(chunk, _MAX_CHUNK_BYTES // image.nbytes))
        if times and (len(times) >= limit or time - times[0] > _MAX_CHUNK_SECONDS):
            yield times, frames[: len(times)]
            times = []
        if not times:
            frames = np.empty((limit, *image.shape), dtype=np.uint8)
        frames[len(times)] = image
        times.append(time)
    if times:
        yield times, frames[: len(times)]


@dataclass(frozen=True)
class _TimedFrame:
    """A decoded PyAV frame that is not converted yet; ``time`` and ``duration`` in seconds."""

    time: float
    duration: float
    decoded: Any


class _FrameReader:
    """Decodes the frames of one file in order of time; ``rgb`` converts those that are needed.

    ``on_warning`` is called once for damage, for a cut file (and how far it could be read), for timestamps
    that run backwards, and for a frame size that changes.
    """

    def __init__(self, info: VideoInfo, on_warning: Warn) -> None:
        self._info = info
        self._on_warning = on_warning
        self._warned: set[str] = set()
        self._rgb = UprightConverter(info.width, info.height)
        self._end = 0.0
        self._failure = ""

    def __iter__(self) -> Iterator[_TimedFrame]:
        step = 1 / self._info.fps
        last: float | None = None
        with open_media(self._info.path) as container:
            stream: Any = pick_video(container)
            stream.thread_type = "AUTO"
            for frame in decode(container, stream, on_damage=self._on_damage):
                time = self._time(frame, last, step)
                if last is not None and time <= last:
                    self._warn("order", f"timestamps run backwards at {last:.2f} s: those frames are skipped")
                    continue
                if last is not None:
                    step = time - last
                last = time
                duration = float(frame.duration * frame.time_base) if frame.duration else step
                self._end = time + duration
                yield _TimedFrame(time, duration, frame)
        self._check_end()

    def _time(self, frame: Any, last: float | None, step: float) -> float:
        if frame.pts is not None:
            return float(frame.pts * frame.time_base) - self._info.origin
        # Raw streams (.h264) have no timestamps: their frames follow at the frame rate.
        return 0.0 if last is None else last + step

    def rgb(self, frame: _TimedFrame) -> U8:
        """Convert to upright RGB, u8 [H,W,3] of the size in ``info``."""
        if not self._rgb.fits(frame.decoded):
            self._warn(
                "size", f"the frame size changes at {frame.time:.2f} s: scaled to that of the first frame"
            )
        return self._rgb(frame.decoded)

    def _on_damage(self, reason: str, fatal: bool) -> None:
        if fatal:
            self._failure = reason
        else:
            self._warn(
                "damage",
                f"damaged at {self._end:.2f} s ({reason}): frames that cannot be decoded are skipped",
            )

    def _check_end(self) -> None:
        declared = self._info.duration
        if declared is not None and declared - self._end > _CUT and declared - self._end_of_streams() > _CUT:
            self._warn("end", f"can be read only up to {self._end:.2f} s of {declared:.2f} s")
        elif self._failure:
            self._warn("end", f"can be read only up to {self._end:.2f} s ({self._failure})")

    def _end_of_streams(self) -> float:
        """End of the last packet of any stream: audio may continue after the last frame."""
        end = 0.0
        with open_media(self._info.path) as container:
            for packet in container.demux():
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        return end - self._info.origin

    def _warn(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            self._on_warning(f"{self._info.path}: {message}")
