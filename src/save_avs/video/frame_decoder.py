"""Decoding the frames of a video file: each at its own time, none dropped, problems reported."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from av.error import BlockingIOError, EOFError
from av.video.frame import VideoFrame

from save_avs.types import U8
from save_avs.video.container import Switch, Warn, decode, open_media, pick_video
from save_avs.video.entry_point import EntryPoint, find_entry_point
from save_avs.video.probe import VideoInfo
from save_avs.video.rgb import UprightConverter, filter_graph
from save_avs.video.timestamps import best_effort_times, repair_times

# Seconds between the end of the last frame and the end that the header declares: more, and the file was cut.
_CUT = 0.5
_MIN_INTERLACED = (3, 4)  # width and height that bwdif needs

Span = tuple[float, float]  # start and end in seconds, the end excluded


@dataclass
class ReadReport:
    """What reading a video found; complete when the reader is exhausted."""

    frames_decoded: int = 0  # frames of the source in the range to read, whether they were yielded or not
    timestamps_repaired: int = 0  # of these, the frames whose timestamp was missing or wrong


@dataclass(frozen=True)
class TimedFrame:
    """A decoded PyAV frame that is not converted yet."""

    index: int  # number of the frame among all frames of the source, in the order in which they are shown
    time: float  # of its start, in seconds
    duration: float  # in seconds
    decoded: Any  # the frame


@dataclass(eq=False)
class FrameReader:
    """Decodes every frame of one file, in order of time; ``rgb`` converts those that are needed.

    Of a span these are the frames that are shown in it, and the next one.

    ``on_warning`` is called once for damage, for a cut file (and how far it could be read), for timestamps
    that had to be repaired, and for a frame size that changes.
    """

    info: VideoInfo
    report: ReadReport
    on_warning: Warn
    span: Span
    tone_map: Switch
    deinterlace: Switch

    def __post_init__(self) -> None:
        """Begin before the first frame."""
        self._warned: set[str] = set()
        self._rgb = UprightConverter(self.info.width, self.info.height, self.tone_map)
        self._end = 0.0
        self._failure = ""
        self._first_repair: float | None = None

    def __iter__(self) -> Iterator[TimedFrame]:
        frames = self._span_frames()
        return frames if self.deinterlace == "off" else deinterlace_frames(frames)

    def _span_frames(self) -> Iterator[TimedFrame]:
        start, end = self.span
        before: TimedFrame | None = None
        for frame in self._frames():
            if frame.time < start:
                before = frame
                continue
            if before is not None:
                yield before
                before = None
            yield frame
            if frame.time >= end:
                return
            self.report.frames_decoded += 1
        if before is not None:
            yield before
        self._check_end()

    def _frames(self) -> Iterator[TimedFrame]:
        step = 1 / self.info.fps
        last: float | None = None
        first, timed = self._timed_from_start()
        for index, (frame, timestamp) in enumerate(repair_times(timed, step, self._on_repair), first):
            time = timestamp - self.info.origin
            step = step if last is None else time - last
            last = time
            duration = float(frame.duration * frame.time_base) if frame.duration else step
            self._end = time + duration
            yield TimedFrame(index, time, duration, frame)

    def _timed_from_start(self) -> tuple[int, Iterator[tuple[Any, float | None]]]:
        """Return the index of the first frame to decode, and the frames with their timestamps."""
        start, _ = self.span
        entry = find_entry_point(self.info.path, start + self.info.origin) if start > 0 else None
        if entry is not None:
            timed = self._decode(entry)
            first = next(timed, None)
            if first is not None and first[0].pts == entry.pts:
                return entry.index, chain([first], timed)
        return 0, self._decode()

    def _decode(self, entry: EntryPoint | None = None) -> Iterator[tuple[Any, float | None]]:
        """Decode the frames, from an entry point on."""
        with open_media(self.info.path) as container:
            stream: Any = pick_video(container)
            stream.thread_type = "AUTO"
            if entry is None:
                decoded = decode(container, stream, on_damage=self._on_damage)
            else:
                entry.seek(container, stream)
                skip = lambda packet: packet.pts != entry.pts  # noqa: E731
                decoded = decode(container, stream, on_damage=self._on_damage, skip=skip)
                decoded = (frame for frame in decoded if frame.pts is None or frame.pts >= entry.pts)
            yield from best_effort_times(decoded, container, stream)

    def rgb(self, frame: TimedFrame) -> U8:
        """Convert to upright RGB, u8 [H,W,3] of the size in ``info``."""
        if not self._rgb.fits(frame.decoded):
            self.warn(
                "size", f"the frame size changes at {frame.time:.2f} s: scaled to that of the first frame"
            )
        return self._rgb(frame.decoded)

    def _on_damage(self, reason: str, fatal: bool) -> None:
        if fatal:
            self._failure = reason
        else:
            advice = "frames that cannot be decoded are skipped"
            self.warn("damage", f"damaged at {self._end:.2f} s ({reason}): {advice}")

    def _on_repair(self, timestamp: float) -> None:
        if self._first_repair is None:
            self._first_repair = timestamp - self.info.origin
        self.report.timestamps_repaired += 1

    def _check_end(self) -> None:
        if self._first_repair is not None:
            repaired, frames = self.report.timestamps_repaired, self.report.frames_decoded
            self.warn(
                "timestamps",
                f"{repaired} of {frames} frames have a missing or wrong timestamp "
                f"(the first at {self._first_repair:.2f} s): placed between their neighbors",
            )
        declared = self.info.duration
        if declared is not None and declared - self._end > _CUT and declared - self._end_of_streams() > _CUT:
            self.warn("end", f"can be read only up to {self._end:.2f} s of {declared:.2f} s")
        elif self._failure:
            self.warn("end", f"can be read only up to {self._end:.2f} s ({self._failure})")

    def _end_of_streams(self) -> float:
        """End of the last packet of any stream: audio may continue after the last frame."""
        end = 0.0
        with open_media(self.info.path) as container:
            for packet in container.demux():
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        return end - self.info.origin

    def warn(self, kind: str, message: str) -> None:
        """Warn once of each kind."""
        if kind not in self._warned:
            self._warned.add(kind)
            self.on_warning(f"{self.info.path}: {message}")


def deinterlace_frames(frames: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
    """Deinterlace the images that are marked as interlaced, by bwdif; the others pass, and so does sound."""
    graph: Any = None
    shape: tuple[Any, ...] = ()
    waiting: deque[TimedFrame] = deque()
    for timed in frames:
        frame = timed.decoded
        if not isinstance(frame, VideoFrame):
            yield timed
            continue
        before, shape = shape, (frame.width, frame.height, frame.format.name)
        if graph is not None and shape != before:
            yield from _filter(graph, None, waiting)
            graph = None
        big_enough = frame.width >= _MIN_INTERLACED[0] and frame.height >= _MIN_INTERLACED[1]
        if graph is None and frame.interlaced_frame and big_enough:
            graph = filter_graph(frame, "bwdif", "mode=send_frame:deint=interlaced")
        if graph is None:
            yield timed
        else:
            waiting.append(timed)
            yield from _filter(graph, frame, waiting)
    if graph is not None:
        yield from _filter(graph, None, waiting)


def _filter(graph: Any, frame: Any, waiting: deque[TimedFrame]) -> Iterator[TimedFrame]:
    """Pass a frame to a filter, or the end (None), and yield what comes out: a frame later."""
    graph.push(frame)
    while waiting:
        try:
            yield replace(waiting[0], decoded=graph.pull())
        except (BlockingIOError, EOFError):
            return
        waiting.popleft()
