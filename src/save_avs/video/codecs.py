"""Encodings of the videos that are written, and a check of which codecs this FFmpeg supports."""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from av.error import FFmpegError


@dataclass(frozen=True, kw_only=True)
class VideoEncoding:
    """How the frames and audio of a video file are encoded, in FFmpeg's names."""

    container: str  # file format
    video_codec: str  # encoder of the frames
    pix_fmt: str  # encoded pixel format
    frame_format: str  # pixel format of the frames passed in: ``rgb24`` or ``rgba``
    audio_codec: str  # encoder of the audio
    options: Mapping[str, str] = field(default_factory=dict)  # of the video encoder
    even_size: bool = False  # width and height must be even, since colors are encoded at half the resolution


H264 = VideoEncoding(
    container="mp4",
    video_codec="libx264",
    pix_fmt="yuv420p",
    frame_format="rgb24",
    audio_codec="aac",
    options={"preset": "veryfast", "crf": "20"},
    even_size=True,
)
PRORES_4444 = VideoEncoding(
    container="mov",
    video_codec="prores_ks",
    pix_fmt="yuva444p10le",
    frame_format="rgba",
    audio_codec="pcm_s16le",
    options={"profile": "4444", "alpha_bits": "16"},
)

# Name: container, encoder, pixel or sample format.
_CODECS = {
    "H.264": ("mp4", "libx264", "yuv420p"),
    "H.265": ("mp4", "libx265", "yuv420p"),
    "VP9": ("webm", "libvpx-vp9", "yuv420p"),
    "VP9 with alpha": ("webm", "libvpx-vp9", "yuva420p"),
    "AV1": ("mp4", "libsvtav1", "yuv420p"),
    "ProRes 4444": ("mov", "prores_ks", "yuva444p10le"),
    "AAC": ("mp4", "aac", "fltp"),
    "Opus": ("webm", "libopus", "flt"),
}
_SIZE, _SAMPLE_RATE = 64, 48000


def check_codecs() -> dict[str, str]:
    """Write and read back a short file with each codec: why it failed, empty where it works, by name."""
    os.environ.setdefault("SVT_LOG", "0")  # the AV1 encoder does not log through FFmpeg
    with scheduling_kept():
        return {name: _check(*codec) for name, codec in _CODECS.items()}


@contextmanager
def scheduling_kept() -> Iterator[None]:
    """Restore the thread's scheduling policy: SVT-AV1 takes real-time priority where it runs as root."""
    if not hasattr(os, "sched_setscheduler"):  # macOS, Windows
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def _check(container: str, encoder: str, format: str) -> str:
    file = io.BytesIO()
    try:
        with av.open(file, "w", format=container) as output:
            frame: Any
            if av.Codec(encoder, "w").type == "video":
                black = np.zeros((_SIZE, _SIZE, 3), dtype=np.uint8)
                frame = av.VideoFrame.from_ndarray(black, format="rgb24").reformat(format=format)
                options = {"x265-params": "log-level=none"}  # ignored by other encoders
                size = {"width": _SIZE, "height": _SIZE, "pix_fmt": format}
                stream: Any = output.add_stream(encoder, rate=25, options=options, **size)
            else:
                silence = np.zeros((1, _SAMPLE_RATE // 2), dtype=np.float32)
                frame = av.AudioFrame.from_ndarray(silence, format, "mono")
                frame.sample_rate = _SAMPLE_RATE
                stream = output.add_stream(encoder, rate=_SAMPLE_RATE, layout="mono", format=format)
            for part in (frame, None):
                output.mux(stream.encode(part))
        file.seek(0)
        with av.open(file, "r") as written:
            next(written.decode())
    except StopIteration:
        return "nothing can be read back"
    except (FFmpegError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""
