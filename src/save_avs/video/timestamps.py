"""Continuous timestamps through a recording whose clock restarts (joined or restarted broadcast streams)."""

from __future__ import annotations

from typing import Any

from av.container import InputContainer
from av.format import Flags

_BACKWARD_JUMP = 1.0  # seconds; more than the reordering of frames explains
_GAP = 0.1  # seconds between two parts, whose audio and video may not start together


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
