"""The pictures of a file, upright and in order of time, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from save_avs.types import U8
from save_avs.video.container import Warn, decode, open_media, pick_video
from save_avs.video.probe import VideoInfo
from save_avs.video.rotation import UprightConverter

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
