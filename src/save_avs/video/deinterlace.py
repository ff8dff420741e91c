"""Deinterlacing: two fields of an interlaced frame become one image, by FFmpeg's bwdif."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from av.error import BlockingIOError, EOFError
from av.filter import Graph

from save_avs.video.frame_decoder import TimedFrame

_MIN_WIDTH, _MIN_HEIGHT = 3, 4  # of bwdif


class Deinterlacer:
    """Deinterlaces the frames that are marked as interlaced; the others pass, in order, one for one."""

    def __init__(self) -> None:
        self._graph: Any = None
        self._shape: tuple[Any, ...] = ()
        self._waiting: deque[TimedFrame] = deque()

    def feed(self, timed: TimedFrame) -> Iterator[TimedFrame]:
        """Add a frame, and yield those that are ready: interlaced ones when the next has come."""
        frame = timed.decoded
        if self._graph is not None and self._shape != _shape(frame):
            yield from self.finish()
        if self._graph is None and frame.interlaced_frame and not _is_tiny(frame):
            self._graph, self._shape = _bwdif(frame), _shape(frame)
        if self._graph is None:
            yield timed
        else:
            self._waiting.append(timed)
            yield from self._filter(frame)

    def finish(self) -> Iterator[TimedFrame]:
        """Yield the frames that still wait."""
        if self._graph is not None:
            yield from self._filter(None)
            self._graph = None

    def _filter(self, frame: Any) -> Iterator[TimedFrame]:
        """Pass a frame to the filter, or the end (None), and yield what comes out: a frame later."""
        self._graph.push(frame)
        while self._waiting:
            try:
                yield replace(self._waiting[0], decoded=self._graph.pull())
            except (BlockingIOError, EOFError):
                return
            self._waiting.popleft()


def deinterlace_frames(frames: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
    """Deinterlace the frames of a video."""
    deinterlacer = Deinterlacer()
    for timed in frames:
        yield from deinterlacer.feed(timed)
    yield from deinterlacer.finish()


def _shape(frame: Any) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _is_tiny(frame: Any) -> bool:
    return frame.width < _MIN_WIDTH or frame.height < _MIN_HEIGHT


def _bwdif(frame: Any) -> Any:
    graph = Graph()
    options = {"width": frame.width, "height": frame.height, "format": frame.format.name}
    source = graph.add_buffer(**options, time_base=frame.time_base)
    bwdif, sink = graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    return graph
