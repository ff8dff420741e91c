"""Turning pictures the way the display matrix says (phones store rotation as a flag)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import VideoReformatter

from save_avs.types import U8


class Orientation(NamedTuple):
    """One of the eight ways to turn a picture: transpose first, then flip."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def apply(self, image: U8) -> U8:
        """Turn an image [H,W,C]; returns a contiguous array."""
        if self.transpose:
            image = image.transpose(1, 0, 2)
        if self.flip_x:
            image = image[:, ::-1]
        if self.flip_y:
            image = image[::-1]
        return np.ascontiguousarray(image)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after the turn."""
        return (height, width) if self.transpose else (width, height)


def orientation_of(frame: Any) -> Orientation:
    """Read the turn from a decoded frame's display matrix.

    The matrix maps a pixel: x' = a x + c y, y' = b x + d y (FFmpeg's libavutil/display.h, 16.16 fixed
    point, rows of three). Angles between the right angles go to the nearest one.
    """
    a, b, c, d = _matrix(frame)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def _matrix(frame: Any) -> tuple[float, float, float, float]:
    """(a, b, c, d) of a frame's display matrix, at any scale."""
    try:
        # frame.side_data would keep what refers back to the frame: none would go before a garbage collection.
        data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    except ValueError:  # beside it is something that PyAV has no name for; an angle is told all the same
        angle = -math.radians(frame.rotation)
        return math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle)
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), dtype=np.int32)[:9].tolist()
    return a, b, c, d


class UprightConverter:
    """Converts decoded frames to RGB, upright and of one size.

    Args:
        width: pixels across, after the turn.
        height: pixels down, after the turn.
    """

    def __init__(self, width: int, height: int) -> None:
        self._size = (width, height)
        self._reformatter = VideoReformatter()

    def fits(self, frame: Any) -> bool:
        """Say whether a frame is of that size, so that nothing needs to be scaled."""
        return orientation_of(frame).size(frame.width, frame.height) == self._size

    def __call__(self, frame: Any) -> U8:
        """Convert a frame, u8 [H,W,3]."""
        turn = orientation_of(frame)
        width, height = turn.size(*self._size)  # a turn's size is its own inverse
        shown = self._reformatter.reformat(frame, width=width, height=height, format="rgb24")
        image = np.asarray(shown.to_ndarray(), dtype=np.uint8)
        return image if turn == Orientation() else turn.apply(image)
