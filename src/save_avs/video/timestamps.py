"""Times of frames from the timestamps of a file: clocks that restart, pts or dts, wrong ones repaired."""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, pairwise
from typing import Any, TypeVar

from av.container import InputContainer
from av.format import Flags

_BACKWARD_JUMP = 0.2  # seconds between decoding timestamps; more than a damaged one explains
_GAP = 0.1  # seconds between two parts, whose audio and video may not start together
_HEAD = 8  # frames decoded before choosing between pts and dts, where the first frame casts doubt on them
_TICK = 1 / 90_000  # seconds: the shortest step between frames, as VideoWriter can represent
_FORWARD_JUMP = 1.0  # seconds: a longer step is wrong if the next timestamp jumps back
_LATEST = 1e10  # seconds: a later timestamp is damage (the wall clock since 1970 is at 1.8e9)
_MAX_HELD = 8  # frames with wrong timestamps held until a right one; more, and the clock has restarted

_Frame = TypeVar("_Frame")


class TimestampUnwrapper:
    """Shifts the timestamps of packets so that each part of a file follows the previous one.

    All streams of a part are shifted by the same amount, set by the first stream to jump back, so audio and
    video stay in sync. Readers of different streams that pass in the same packets get the same clock.
    """

    def __init__(self) -> None:
        self._offsets = [0.0]  # by part of the file
        self._part: dict[int, int] = {}  # by stream
        self._last: dict[int, float] = {}  # by stream, before shifting
        self._end = 0.0

    def unwrap(self, packet: Any) -> None:
        """Shift a packet's timestamps in place; packets must come in the order of the file."""
        if packet.dts is None or packet.pts is None:
            return
        stream, tick = packet.stream_index, packet.time_base
        time = float(packet.dts * tick)
        if time < self._last.get(stream, time) - _BACKWARD_JUMP:
            self._part[stream] = self._part.get(stream, 0) + 1
            if self._part[stream] == len(self._offsets):
                self._offsets.append(self._end + _GAP - time)
        self._last[stream] = time
        offset = round(self._offsets[self._part.get(stream, 0)] / tick)
        packet.dts += offset
        packet.pts += offset
        self._end = max(self._end, float((packet.pts + (packet.duration or 0)) * tick))


def may_restart(container: InputContainer) -> bool:
    """Return whether the format (MPEG transport and program streams) allows timestamps to restart."""
    return bool(container.format.flags & Flags.ts_discont.value)


class BestEffortClock:
    """Chooses between the presentation (pts) and decoding (dts) timestamp of each decoded frame.

    Counts the timestamps of each kind that do not increase and uses pts unless dts errs less: careless muxers
    copy dts into pts, which shows where frames are reordered (B-frames). Decoders output a frame when a later
    packet arrives, so dts is shifted by that delay. Unless the container ``stores_pts``, FFmpeg guesses them,
    badly.

    Source: ``guess_correct_pts`` in FFmpeg's libavcodec/decode.c; the shift is ours.
    """

    def __init__(self, *, stores_pts: bool = True) -> None:
        self._faulty_pts, self._faulty_dts = 0 if stores_pts else math.inf, 0
        self._last_pts = self._last_dts = -math.inf
        self._shift = 0  # of dts against the time of the frame, in ticks
        self._last = 0  # time of the last frame, in ticks

    def learn(self, frames: list[Any], *, start: int | None) -> None:
        """Count faults ahead of time; ``start`` is the time of the first frame by dts, None: its dts."""
        for frame in frames:
            self._count(frame)
        self._last_pts = self._last_dts = -math.inf
        if start is not None and frames[0].dts is not None:
            self._shift = frames[0].dts - start

    def time(self, frame: Any) -> float | None:
        """Return the time of the next frame in seconds; None when it has no timestamp."""
        self._count(frame)
        pts, dts = frame.pts, frame.dts
        trust_pts = self._faulty_pts <= self._faulty_dts
        if pts is not None and (trust_pts or math.isinf(self._last_dts)):
            self._shift = self._shift if dts is None else dts - pts
            self._last = pts
        elif dts is not None:
            self._last = dts - self._shift
        elif trust_pts:
            return None
        else:  # one of the last frames, which no packet pushes out of the decoder
            self._last += frame.duration
        time = float(self._last * frame.time_base)
        return time if abs(time) < _LATEST else None

    def _count(self, frame: Any) -> None:
        pts, dts = frame.pts, frame.dts
        if dts is not None:
            self._faulty_dts += dts <= self._last_dts
            self._last_dts = dts
        if pts is not None:
            self._faulty_pts += pts <= self._last_pts
            self._last_pts = pts


def best_effort_times(
    frames: Iterable[Any], container: InputContainer, stream: Any
) -> Iterator[tuple[Any, float | None]]:
    """Pair the decoded frames of a stream with their times in seconds, by `BestEffortClock`."""
    name = container.format.name
    frames, clock = iter(frames), BestEffortClock(stores_pts=name != "avi")
    head = list(islice(frames, 1))
    if head and (head[0].pts is None or (head[0].dts is not None and head[0].dts > head[0].pts)):
        head += islice(frames, _HEAD - 1)
        # The muxer of ASF delays the sound by as much as it shifts dts.
        clock.learn(head, start=None if name == "asf" else stream.start_time or 0)
    for frame in chain(head, frames):
        yield frame, clock.time(frame)


def repair_times(
    timed: Iterable[tuple[_Frame, float | None]], step: float, on_repair: Callable[[float], None]
) -> Iterator[tuple[_Frame, float]]:
    """Give every frame a time, strictly increasing; no frame is dropped.

    A missing (None), repeated, backward or absurd time is replaced by one between those of its neighbors, and
    ``on_repair`` is called with it. Streams without any timestamps run at the frame rate, ``step`` seconds.
    """
    last: float | None = None
    shift, held, any_time = 0.0, list[_Frame](), False
    for (frame, raw), (_, following) in pairwise(chain(timed, [(None, None)])):
        time = None if raw is None else raw + shift
        any_time = any_time or time is not None
        if last is None or not any_time:
            last = time if time is not None else 0.0 if last is None else last + max(step, _TICK)
            yield frame, last  # type: ignore[misc]
            continue
        if time is not None and _follows(time, last, len(held), following and following + shift):
            for n, waiting in enumerate(held, start=1):
                between = last + (time - last) * n / (len(held) + 1)
                on_repair(between)
                yield waiting, between
            step, last, held = (step if held else time - last), time, []
            yield frame, last  # type: ignore[misc]
            continue
        held.append(frame)  # type: ignore[arg-type]
        if len(held) == _MAX_HELD:
            yield from _extrapolate(held, last, step, on_repair)
            last += len(held) * max(step, _TICK)
            shift += 0.0 if time is None else last - time
            held = []
    if last is not None:
        yield from _extrapolate(held, last, step, on_repair)


def _follows(time: float, last: float, held: int, following: float | None) -> bool:
    """Return whether a time can follow the last one, with some frames held in between."""
    if time - last < (held + 1) * _TICK:
        return False
    jumps_back = following is not None and last < following < time
    return not (jumps_back and time - last > _FORWARD_JUMP)


def _extrapolate(
    frames: list[_Frame], last: float, step: float, on_repair: Callable[[float], None]
) -> Iterator[tuple[_Frame, float]]:
    for n, frame in enumerate(frames, start=1):
        time = last + n * max(step, _TICK)
        on_repair(time)
        yield frame, time
