"""One clock through a recording whose timestamps start anew (joined or restarted broadcast streams)."""

from __future__ import annotations

from typing import Any

from av.container import InputContainer
from av.format import Flags

_JUMP = 1.0  # seconds back that no reordering of pictures explains
_PAUSE = 0.1  # between the parts: room for sound and picture to begin apart


class TimestampUnwrapper:
    """Moves the timestamps of packets so that each part of the file follows the one before.

    All streams of a part move by the same amount, fixed by the first stream to jump back: sound and
    picture stay together. Readers of different streams that feed the same packets get the same clock.
    """

    def __init__(self) -> None:
        self._offsets = [0.0]  # one a part of the file
        self._part: dict[int, int] = {}  # by stream
        self._last: dict[int, float] = {}  # by stream, before moving
        self._end = 0.0

    def move(self, packet: Any) -> None:
        """Move a packet's timestamps in place; packets come in the file's order."""
        if packet.dts is None or packet.pts is None:
            return
        stream, tick = packet.stream_index, packet.time_base
        time = float(packet.dts * tick)
        if time < self._last.get(stream, time) - _JUMP:
            self._part[stream] = self._part.get(stream, 0) + 1
            if self._part[stream] == len(self._offsets):
                self._offsets.append(self._end + _PAUSE - time)
        self._last[stream] = time
        offset = round(self._offsets[self._part.get(stream, 0)] / tick)
        packet.dts += offset
        packet.pts += offset
        self._end = max(self._end, float((packet.pts + (packet.duration or 0)) * tick))


def may_restart(container: InputContainer) -> bool:
    """Say whether the format (MPEG transport and program streams) allows timestamps to start anew."""
    return bool(container.format.flags & Flags.ts_discont.value)
