"""How the videos we write are encoded, and which codecs this FFmpeg really writes."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import av
import numpy as np
from av.error import FFmpegError


@dataclass(frozen=True, kw_only=True)
class VideoEncoding:
    """How pictures and sound are coded.

    Attributes:
        container: FFmpeg's name of the file format.
        codec: its name of the encoder of pictures.
        coded: its name of their pixels.
        picture: of the pixels handed in: ``rgb24`` or ``rgba``.
        sound: its name of the encoder of sound.
        options: of the encoder of pictures.
        even: whether sides must be even: colors are coded at half the size.
    """

    container: str
    codec: str
    coded: str
    picture: str
    sound: str
    options: Mapping[str, str] = field(default_factory=dict)
    even: bool = False

    @property
    def channels(self) -> int:
        """Of a picture."""
        return len(self.picture.removesuffix("24"))


H264 = VideoEncoding(
    container="mp4",
    codec="libx264",
    coded="yuv420p",
    picture="rgb24",
    sound="aac",
    options={"preset": "veryfast", "crf": "20"},
    even=True,
)
PRORES_4444 = VideoEncoding(
    container="mov",
    codec="prores_ks",
    coded="yuva444p10le",
    picture="rgba",
    sound="pcm_s16le",
    options={"profile": "4444", "alpha_bits": "16"},
)


class _Codec(NamedTuple):
    container: str
    encoder: str
    layout: str  # of pixels, or of samples
    options: dict[str, str] = {}  # noqa: RUF012 -- never changed


_VIDEO = {
    "H.264": _Codec("mp4", "libx264", "yuv420p"),
    "H.265": _Codec("mp4", "libx265", "yuv420p", {"x265-params": "log-level=none"}),
    "VP9": _Codec("webm", "libvpx-vp9", "yuv420p"),
    "VP9 with alpha": _Codec("webm", "libvpx-vp9", "yuva420p"),
    "AV1": _Codec("mp4", "libsvtav1", "yuv420p"),
    "ProRes 4444": _Codec("mov", "prores_ks", "yuva444p10le"),
}
_SOUND = {"AAC": _Codec("mp4", "aac", "fltp"), "Opus": _Codec("webm", "libopus", "flt")}
_SIDE, _RATE = 64, 48000


def check_codecs() -> dict[str, str]:
    """Write and read back a moment with each codec: its name, and why it failed (empty where it works)."""
    os.environ.setdefault("SVT_LOG", "0")  # AV1's encoder prints past FFmpeg's log
    tried = {name: _try(_write_pictures, codec) for name, codec in _VIDEO.items()}
    return tried | {name: _try(_write_sound, codec) for name, codec in _SOUND.items()}


def _try(write: Callable[[Any, _Codec], None], codec: _Codec) -> str:
    file = io.BytesIO()
    try:
        with av.open(file, "w", format=codec.container) as out:
            write(out, codec)
        file.seek(0)
        with av.open(file, "r") as written:
            next(written.decode())
    except StopIteration:
        return "nothing can be read back"
    except (FFmpegError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""


def _write_pictures(out: Any, codec: _Codec) -> None:
    stream = out.add_stream(codec.encoder, rate=25, options=codec.options)
    stream.width = stream.height = _SIDE
    stream.pix_fmt = codec.layout
    for _ in range(3):
        picture = av.VideoFrame.from_ndarray(np.zeros((_SIDE, _SIDE, 3), dtype=np.uint8), format="rgb24")
        out.mux(stream.encode(picture.reformat(format=codec.layout)))
    out.mux(stream.encode(None))


def _write_sound(out: Any, codec: _Codec) -> None:
    stream = out.add_stream(codec.encoder, rate=_RATE, layout="mono", format=codec.layout)
    sound = av.AudioFrame.from_ndarray(np.zeros((1, _RATE // 2), dtype=np.float32), codec.layout, "mono")
    sound.sample_rate = _RATE
    out.mux(stream.encode(sound))
    out.mux(stream.encode(None))
