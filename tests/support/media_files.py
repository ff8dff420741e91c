"""Small media files for the tests, made with PyAV alone; and the ffmpeg binaries for the rest."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg binary is not installed")
needs_ffprobe = pytest.mark.skipif(
    shutil.which("ffprobe") is None, reason="the ffprobe binary is not installed"
)

TICK = Fraction(1, 90_000)


@dataclass
class AudioTrack:
    """An audio track made of pieces (start in seconds, f32 [C,S])."""

    pieces: Sequence[tuple[float, np.ndarray]]
    sample_rate: int = 16000
    layout: str = "mono"
    codec: str = "pcm_s16le"
    format: str = "s16"


@dataclass
class VideoTrack:
    """A video track of flat gray frames."""

    times: Sequence[float]
    levels: Sequence[int]
    size: tuple[int, int] = (32, 24)
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(
        default_factory=lambda: {"preset": "ultrafast", "crf": "10", "threads": "1"}
    )


def gray(count: int, *, fps: float = 25, start: float = 0.0, **more) -> VideoTrack:
    """Frames at a constant rate; the gray value identifies each."""
    return VideoTrack([start + i / fps for i in range(count)], levels(count), **more)


def levels(count: int) -> list[int]:
    return [40 + 10 * (i % 18) for i in range(count)]


def tone(
    seconds: float, sample_rate: int, *, hz: float = 440, level: float = 0.5, channels: int = 1
) -> np.ndarray:
    waveform = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * sample_rate)) / sample_rate)
    return np.tile(waveform.astype(np.float32), (channels, 1))


def make(path: Path, *tracks: VideoTrack | AudioTrack, format: str | None = None, options=None) -> Path:
    """Write tracks, in this order, to a file of the format that its name says."""
    with av.open(str(path), "w", format=format, options=options or {}) as container:
        streams = [_add(container, video_masks) for video_masks in tracks]
        packets = []
        for stream, video_masks in zip(streams, tracks, strict=True):
            frames = (
                _video_frames(video_masks)
                if isinstance(video_masks, VideoTrack)
                else _audio_frames(video_masks)
            )
            for frame in [*frames, None]:
                packets += stream.encode(frame)
        for packet in sorted(packets, key=lambda p: float(p.dts * p.time_base)):
            container.mux(packet)
    return path


def _add(container, video_masks: VideoTrack | AudioTrack):
    if isinstance(video_masks, AudioTrack):
        return container.add_stream(
            video_masks.codec,
            rate=video_masks.sample_rate,
            layout=video_masks.layout,
            format=video_masks.format,
        )
    stream = container.add_stream(video_masks.codec, rate=25, options=video_masks.options)
    stream.width, stream.height = video_masks.size
    stream.pix_fmt = video_masks.pix_fmt
    stream.codec_context.time_base = TICK
    stream.time_base = TICK
    return stream


def _video_frames(video_masks: VideoTrack):
    width, height = video_masks.size
    gaps = [*np.diff(video_masks.times), 0.04]
    for time, level, gap in zip(video_masks.times, video_masks.levels, gaps, strict=True):
        image = np.full((height, width, 3), level, dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=video_masks.pix_fmt)
        frame.pts, frame.time_base, frame.duration = round(time / TICK), TICK, round(gap / TICK)
        yield frame


def _audio_frames(video_masks: AudioTrack):
    for start, waveform in video_masks.pieces:
        for first in range(0, waveform.shape[1], 1024):
            part = waveform[:, first : first + 1024]
            data = _coded(part, video_masks.format)
            frame = av.AudioFrame.from_ndarray(data, format=video_masks.format, layout=video_masks.layout)
            frame.sample_rate, frame.time_base = video_masks.sample_rate, Fraction(1, video_masks.sample_rate)
            frame.pts = round(start * video_masks.sample_rate) + first
            yield frame


def _coded(part: np.ndarray, format: str) -> np.ndarray:
    """AudioTrack in one of FFmpeg's sample formats: packed [1, S*C], or [C,S] for the planar one."""
    if format == "fltp":
        return np.ascontiguousarray(part, dtype=np.float32)
    packed = part.T.reshape(1, -1).astype(np.float64)
    scale, shift, kind = {
        "u8": (127, 128, np.uint8),
        "s16": (2**15 - 1, 0, np.int16),
        "s32": (2**31 - 1, 0, np.int32),
        "flt": (1, 0, np.float32),
        "dbl": (1, 0, np.float64),
    }[format]
    return (packed * scale + shift).astype(kind)


def set_matrix(path: Path, matrix: Sequence[int]) -> Path:
    """Write (a, b, c, d) of the display matrix into the first track header of an mp4 (tkhd version 0)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (65536 * value for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def cut(path: Path, share: float) -> Path:
    """Keep the first part of a file, as when a copy breaks off."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def boxes(path: Path) -> list[str]:
    """Names of the outermost boxes of an mp4, in order."""
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        names.append(name.decode())
        at += size if size else len(data)
    return names


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True, timeout=60)


def ffprobe(path: Path) -> dict[str, dict]:
    """Streams as the ffprobe binary sees them: {"video": {...}, "audio": {...}}."""
    command = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(path)]
    text = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    return {stream["codec_type"]: stream for stream in json.loads(text)["streams"]}
