"""Where to start decoding for a later part of a video, and which frame of the whole video that is."""

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from av.error import FFmpegError

from save_avs.video.container import open_media, packets_of, pick_video
from save_avs.video.timestamps import may_restart

# Codecs whose packets are one shown frame each; VP8 and MPEG-4 have others, and AVI stores no pts.
_EVEN_CODECS = frozenset({"h264", "hevc", "av1", "vp9", "mpeg2video", "mjpeg", "prores", "dnxhd", "ffv1"})
_HEAD = 32  # packets decoded to see whether the file keeps to that: fields are packets in some


@dataclass(frozen=True)
class EntryPoint:
    """A keyframe."""

    pts: int  # its presentation timestamp, in ticks of the stream
    position: int  # its decoding timestamp, to seek to
    index: int  # its number among all frames, in the order in which they are shown

    def seek(self, container: Any, stream: Any) -> None:
        """Move a container to the keyframe or somewhere before it, if its format allows."""
        if not may_restart(container):
            try:
                container.seek(self.position, stream=stream)
            except FFmpegError:
                return  # the container is where it was


def find_entry_point(path: Path, time: float) -> EntryPoint | None:
    """Find the last keyframe at or before a time (the file's own, seconds); None: decode from the start.

    The frames before it are counted by their packets, of which 200,000 per second are read, 300 times as many
    as can be decoded. None where that count could be wrong: a codec whose packets are not frames, or
    timestamps that are missing or out of order.
    """
    try:
        with open_media(path) as container:
            stream: Any = pick_video(container)
            codec = stream.codec_context.codec.canonical_name
            if codec not in _EVEN_CODECS or container.format.name == "avi" or not _is_even(path):
                return None
            return _scan(packets_of(container, (stream,)), time)
    except (FFmpegError, OSError):
        return None


def _is_even(path: Path) -> bool:
    """Decode the first packets and see whether each is a frame."""
    with open_media(path) as container:
        stream: Any = pick_video(container)
        sent = frames = 0
        for packet in islice(container.demux(stream), _HEAD):
            sent += packet.size > 0 and not packet.is_discard
            frames += len(packet.decode()) if packet.size else 0
        return sent == frames + len(stream.codec_context.decode(None))


def _scan(packets: Iterable[Any], time: float) -> EntryPoint | None:
    pts: list[int] = []
    entry: Any = None
    lowest, highest = -math.inf, -math.inf  # of the packets that may follow
    for packet in packets:
        if not packet.size or packet.is_discard:
            continue
        if packet.pts is None or packet.is_corrupt or packet.pts <= lowest:
            return None
        if packet.is_keyframe:
            if packet.pts <= highest:
                return None
            if packet.pts * packet.time_base > time:
                break
            lowest, entry = (entry.pts if entry else -math.inf), packet
        highest = max(highest, packet.pts)
        pts.append(packet.pts)
    pts.sort()
    if entry is None or len({*pts}) < len(pts):
        return None
    position = entry.pts if entry.dts is None else entry.dts
    return EntryPoint(entry.pts, position, bisect_left(pts, entry.pts))
