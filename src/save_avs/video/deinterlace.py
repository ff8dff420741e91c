"""Deinterlacing: two fields of an interlaced frame become one image, by FFmpeg's bwdif."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from av.error import BlockingIOError, EOFError
from av.filter import Graph

from save_avs.video.frame_decoder import TimedFrame

_MIN_WIDTH, _MIN_HEIGHT = 3, 4  # of bwdif


def deinterlace_frames(frames: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
    """Deinterlace the frames that are marked as interlaced; the others pass, in order, one for one."""
    graph: Any = None
    shape: tuple[Any, ...] = ()
    waiting: deque[TimedFrame] = deque()
    for timed in frames:
        frame = timed.decoded
        if graph is not None and shape != _shape(frame):
            yield from _filter(graph, None, waiting)
            graph = None
        if graph is None and frame.interlaced_frame and not _is_tiny(frame):
            graph, shape = _bwdif(frame), _shape(frame)
        if graph is None:
            yield timed
        else:
            waiting.append(timed)
            yield from _filter(graph, frame, waiting)
    if graph is not None:
        yield from _filter(graph, None, waiting)


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


def _filter(graph: Any, frame: Any, waiting: deque[TimedFrame]) -> Iterator[TimedFrame]:
    """Pass a frame to the filter, or the end (None), and yield what comes out: a frame later, each once."""
    graph.push(frame)
    while waiting:
        try:
            yield replace(waiting[0], decoded=graph.pull())
        except (BlockingIOError, EOFError):
            return
        waiting.popleft()
