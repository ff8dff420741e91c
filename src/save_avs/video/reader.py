"""Reading a video file as a stream of chunks: frames with their times, and the audio around them."""

import math
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain, pairwise
from typing import Any

import numpy as np

from save_avs.types import U8, VideoChunk
from save_avs.video.audio_blocks import AudioWindowReader, sample_range
from save_avs.video.audio_level import (
    SILENT,
    LevelMeter,
    find_gain,
    metered,
    quiet_sound_advice,
    silent_track_advice,
)
from save_avs.video.audio_reader import read_audio_blocks
from save_avs.video.container import Switch, Warn, check_read_options, ignore_warning
from save_avs.video.frame_decoder import FrameReader, ReadReport, Span, TimedFrame
from save_avs.video.probe import AudioTrack, choose_audio, probe

# Limits of a chunk whatever its frame count: large frames, or long pauses between them.
_MAX_CHUNK_BYTES = 1 << 27
_MAX_CHUNK_SECONDS = 60.0

# Seconds between repeats of a frame that is held while there is sound: the length of VGGish's patches.
_SOUND_HOP = 0.96
# Seconds for which a frame is repeated at a requested rate where there is no sound: longer, and the gap comes
# from a wrong timestamp, or repeats could show nothing.
_MAX_SILENT_HOLD = 60.0

_Image = tuple[float, U8, int]  # time in seconds, RGB [H,W,3], index in the source


def read_video_chunks(
    path: str | os.PathLike[str],
    *,
    fps: float | None = None,
    chunk: int = 16,
    sample_rate: int = 16000,
    audio_margin: float = 0.5,
    tone_map: Switch = "auto",
    deinterlace: Switch = "auto",
    start: float = 0.0,
    end: float | None = None,
    audio_track: int | None = None,
    audio: str | os.PathLike[str] | None = None,
    normalize_audio: bool = False,
    report: ReadReport | None = None,
    on_warning: Warn | None = None,
) -> Generator[VideoChunk, None, None]:
    """Read a video as a stream of chunks, in bounded memory whatever its length.

    Times are seconds on the file's own clock, zero at the first video or audio frame. The audio is mono and
    covers ``audio_margin`` seconds before a chunk's first frame to ``audio_margin`` after its last: silence
    where the file has none, no samples at all when the file has no audio.

    Args:
        path: any local file that FFmpeg reads.
        fps: None yields every frame at its own time, and again every 0.96 s while it stays and there is
            sound; a number, one frame every 1/fps seconds from the first frame on, each the nearest in time.
        chunk: frames per chunk at most (fewer when they are very large or far apart in time).
        sample_rate: audio samples per second.
        audio_margin: seconds of audio on each side of a chunk's frames.
        tone_map: ``auto`` maps HDR and BT.2020 to BT.709; ``off`` takes their codes as they are.
        deinterlace: ``auto`` deinterlaces the frames that are marked as interlaced; or ``off``.
        start: frames before this time, in seconds, are left out; the others keep their times and indices.
        end: so are frames from this time on; None reads to the end of the file.
        audio_track: the audio track to read, counted from 1; None for the one that players choose.
        audio: another file whose sound to read instead, its time 0 at that of the video.
        normalize_audio: raise the level of the whole sound to -20 dBFS (`LevelMeter`) where it is below.
        report: filled in while the chunks are read.
        on_warning: called with one line for each thing worth knowing: no audio, damage, a cut file.

    Raises:
        UsageError: no such file, an ``fps`` that is not a positive number, or an empty range of time.
        MediaError: the file cannot be read as video, or has no such audio track. Both are raised by the call
            itself.

    Examples:
        >>> import save_avs
        >>> for chunk in save_avs.read_video_chunks("clip.mp4", fps=1, chunk=4):
        ...     chunk.first_index, chunk.frames.shape, len(chunk.waveform) / chunk.sample_rate > 3
        (0, (4, 360, 640, 3), True)
        (4, (4, 360, 640, 3), True)
    """
    check_read_options(fps, tone_map, deinterlace, start, end)
    info = probe(path)
    track = choose_audio(info, audio_track, audio)
    warn, span = on_warning or ignore_warning, (start, math.inf if end is None else end)
    reader = FrameReader(info, report or ReadReport(), warn, span, tone_map, deinterlace)
    gain = find_gain(track) if track is not None and normalize_audio else 1.0
    return _chunks(reader, track, gain, fps, chunk, sample_rate, audio_margin)


def _chunks(
    reader: FrameReader,
    track: AudioTrack | None,
    gain: float,
    fps: float | None,
    chunk: int,
    sample_rate: int,
    audio_margin: float,
) -> Generator[VideoChunk, None, None]:
    audio, meter = None, LevelMeter(sample_rate)
    if track is not None:
        start, end = reader.span
        blocks = read_audio_blocks(
            track,
            sample_rate=sample_rate,
            layout="mono",
            start=start - audio_margin,
            end=end + audio_margin + 1,
            on_warning=reader.on_warning,
        )
        audio = AudioWindowReader(metered(blocks, meter))
    else:
        reader.warn("sound", "has no sound")
    index = 0

    def sounds(time: float) -> bool:
        return audio is not None and audio.reaches(round(time * sample_rate))

    for times, images, indices in _batches(_images(reader, fps, sounds), chunk):
        start, end = sample_range(times, audio_margin, sample_rate)
        waveform = np.zeros(0, np.float32) if audio is None else audio.read(start, end)[:, 0]
        yield VideoChunk(
            frames=images,
            times=np.array(times, dtype=np.float64),
            waveform=waveform if gain == 1 else np.clip(waveform * np.float32(gain), -1, 1),
            waveform_start=start / sample_rate,
            sample_rate=sample_rate,
            first_index=index,
            source_indices=np.array(indices, dtype=np.int64),
        )
        index += len(images)
    if index and track is not None and reader.on_warning is not ignore_warning:
        silent = meter.level < SILENT
        advice = silent_track_advice(track, reader.span) if silent else ""
        advice = advice or quiet_sound_advice(meter.level)
        if advice and (silent or gain == 1):
            reader.on_warning(f"{track.path}: {advice}")


def _images(reader: FrameReader, fps: float | None, sounds: Callable[[float], bool]) -> Iterator[_Image]:
    """Convert the frames of the span; ``sounds`` tells whether there is audio at a time or later."""
    timed = _repeat_held_frames(reader, sounds) if fps is None else _resample_frames(reader, 1 / fps, sounds)
    start, end = reader.span
    converted: TimedFrame | None = None
    image = np.empty(0, dtype=np.uint8)
    for time, frame in timed:
        if time < start:
            continue
        if time >= end:
            return
        if frame is not converted:
            converted, image = frame, reader.rgb(frame)
        yield time, image, frame.index


def _with_next(frames: Iterable[Any]) -> Iterator[tuple[TimedFrame, TimedFrame | None]]:
    """Pair each frame with the one after it, None for the last."""
    return pairwise(chain(frames, (None,)))


def _repeat_held_frames(
    reader: FrameReader, sounds: Callable[[float], bool]
) -> Iterator[tuple[float, TimedFrame]]:
    """Pair each frame with its time, and again with every hop of the sound while it is shown."""
    for frame, following in _with_next(reader):
        yield frame.time, frame
        end = frame.time + frame.duration if following is None else following.time
        count = 1
        while (time := frame.time + count * _SOUND_HOP) <= end - _SOUND_HOP / 2 and sounds(time):
            yield time, frame
            count += 1


def _resample_frames(
    reader: FrameReader, interval: float, sounds: Callable[[float], bool]
) -> Iterator[tuple[float, TimedFrame]]:
    """Pair each time of an even grid, from the first frame of the span on, with the frame nearest to it.

    A frame that is shown for very long without any sound is held for a while only.
    """
    first: float | None = None
    count, span = 0, reader.span
    for before, after in _with_next(reader):
        first = _first_time(before, after, interval, span) if first is None else first
        if after is None:
            end = before.time + before.duration - min(interval, before.duration) / 2
        else:
            end = math.nextafter(after.time, math.inf)
        while (time := first + count * interval) < end or time == before.time:
            if after is not None and after.time < span[1] and after.time - time < time - before.time:
                yield time, after
            elif time - before.time <= _MAX_SILENT_HOLD or sounds(time):
                yield time, before
            elif after is None:
                return
            else:
                where = f"the frame at {before.time:.2f} s"
                reader.warn("jump", f"{where} stays for very long: skipped over to the next")
                count = max(count, math.ceil((after.time - first) / interval - 0.5) - 1)
            count += 1


def _first_time(before: TimedFrame, after: TimedFrame | None, interval: float, span: Span) -> float:
    """Return the first time to read: of the first frame of the span, or its start where that is far off."""
    start, end = span
    if before.time >= start:
        return before.time
    if after is not None and after.time < min(start + interval, end):
        return after.time
    return start


def _batches(images: Iterator[_Image], chunk: int) -> Iterator[tuple[list[float], U8, list[int]]]:
    times, indices = list[float](), list[int]()
    frames = np.empty(0, dtype=np.uint8)
    for time, image, index in images:
        limit = max(1, min(chunk, _MAX_CHUNK_BYTES // image.nbytes))
        if times and (len(times) >= limit or time - times[0] > _MAX_CHUNK_SECONDS):
            yield times, frames[: len(times)], indices
            times, indices = [], []
        if not times:
            frames = np.empty((limit, *image.shape), dtype=np.uint8)
        frames[len(times)] = image
        times.append(time)
        indices.append(index)
    if times:
        yield times, frames[: len(times)], indices
