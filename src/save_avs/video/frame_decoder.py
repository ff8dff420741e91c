"""Decoding the frames of a video file: each at its own time, none dropped, problems reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from save_avs.types import U8
from save_avs.video.color import Switch
from save_avs.video.container import Warn, decode, open_media, pick_video
from save_avs.video.probe import VideoInfo
from save_avs.video.rotation import UprightConverter
from save_avs.video.timestamps import best_effort_times, repair_times

# Seconds between the end of the last frame and the end that the header declares: more, and the file was cut.
_CUT = 0.5


@dataclass
class ReadReport:
    """What reading a video found; complete when the reader is exhausted.

    Attributes:
        frames_decoded: frames of the source, whether they were yielded or not.
        timestamps_repaired: of these, the frames whose timestamp was missing or wrong.
    """

    frames_decoded: int = 0
    timestamps_repaired: int = 0


@dataclass(frozen=True)
class TimedFrame:
    """A decoded PyAV frame that is not converted yet.

    Attributes:
        index: number of the frame among all frames of the source, in the order in which they are shown.
        time: of its start, in seconds.
        duration: in seconds.
        decoded: the frame.
    """

    index: int
    time: float
    duration: float
    decoded: Any


class FrameReader:
    """Decodes every frame of one file, in order of time; ``rgb`` converts those that are needed.

    ``on_warning`` is called once for damage, for a cut file (and how far it could be read), for timestamps
    that had to be repaired, and for a frame size that changes.
    """

    def __init__(
        self, info: VideoInfo, report: ReadReport, on_warning: Warn, tone_map: Switch = "auto"
    ) -> None:
        self._info = info
        self._report = report
        self._on_warning = on_warning
        self._warned: set[str] = set()
        self._rgb = UprightConverter(info.width, info.height, tone_map)
        self._end = 0.0
        self._failure = ""
        self._first_repair: float | None = None

    def __iter__(self) -> Iterator[TimedFrame]:
        step = 1 / self._info.fps
        last: float | None = None
        with open_media(self._info.path) as container:
            stream: Any = pick_video(container)
            stream.thread_type = "AUTO"
            decoded = decode(container, stream, on_damage=self._on_damage)
            for frame, timestamp in repair_times(
                best_effort_times(decoded, container, stream), step, self._on_repair
            ):
                time = timestamp - self._info.origin
                step = step if last is None else time - last
                last = time
                duration = float(frame.duration * frame.time_base) if frame.duration else step
                self._end = time + duration
                yield TimedFrame(self._report.frames_decoded, time, duration, frame)
                self._report.frames_decoded += 1
        self._check_end()

    def rgb(self, frame: TimedFrame) -> U8:
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

    def _on_repair(self, timestamp: float) -> None:
        if self._first_repair is None:
            self._first_repair = timestamp - self._info.origin
        self._report.timestamps_repaired += 1

    def _check_end(self) -> None:
        if self._first_repair is not None:
            repaired, frames = self._report.timestamps_repaired, self._report.frames_decoded
            self._warn(
                "timestamps",
                f"{repaired} of {frames} frames have a missing or wrong timestamp "
                f"(the first at {self._first_repair:.2f} s): placed between their neighbors",
            )
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
