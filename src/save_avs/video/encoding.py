"""The ways a video file is coded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
