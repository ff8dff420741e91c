"""Upright RGB from decoded frames: rotation and mirroring by the display matrix, as phones store it."""

import math
from typing import Any, NamedTuple

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import VideoReformatter

from save_avs.types import U8
from save_avs.video.color import Switch, composite_over_black, conversion_options, forget_peak, has_alpha


class Orientation(NamedTuple):
    """One of the eight orientations of an image: transposed first, then flipped."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def apply(self, image: U8) -> U8:
        """Turn an image [H,W,C] upright; returns a contiguous array."""
        if self.transpose:
            image = image.transpose(1, 0, 2)
        if self.flip_x:
            image = image[:, ::-1]
        if self.flip_y:
            image = image[::-1]
        return np.ascontiguousarray(image)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after turning."""
        return (height, width) if self.transpose else (width, height)


def orientation_of(frame: Any) -> Orientation:
    """Read the orientation from a decoded frame's display matrix.

    The matrix maps a pixel: x' = a x + c y, y' = b x + d y (FFmpeg's libavutil/display.h, 16.16 fixed
    point, rows of three). Other angles are rounded to the nearest right angle.
    """
    a, b, c, d = _display_matrix(frame)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def _display_matrix(frame: Any) -> tuple[float, float, float, float]:
    """(a, b, c, d) of a frame's display matrix, at any scale."""
    try:
        # frame.side_data would create a reference cycle that keeps frames until a garbage collection.
        data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    except ValueError:  # PyAV does not know other side data of the frame, but still has the angle
        angle = -math.radians(frame.rotation)
        return math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle)
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), dtype=np.int32)[:9].tolist()
    return a, b, c, d


class UprightConverter:
    """Converts decoded frames to BT.709 RGB, upright and of one size, alpha over black.

    ``width`` and ``height`` are pixels after turning; ``tone_map="auto"`` maps HDR and BT.2020 to BT.709.
    """

    def __init__(self, width: int, height: int, tone_map: Switch = "auto") -> None:
        self._size = (width, height)
        self._tone_map: Switch = tone_map
        self._reformatter = VideoReformatter()

    def fits(self, frame: Any) -> bool:
        """Return whether a frame has that size and needs no scaling."""
        return orientation_of(frame).size(frame.width, frame.height) == self._size

    def __call__(self, frame: Any) -> U8:
        """Convert a frame, u8 [H,W,3]."""
        orientation = orientation_of(frame)
        width, height = orientation.size(*self._size)  # its own inverse
        format, options = "rgba" if has_alpha(frame) else "rgb24", conversion_options(frame, self._tone_map)
        frame = forget_peak(frame) if "dst_color_trc" in options else frame
        rgb = self._reformatter.reformat(frame, width=width, height=height, format=format, **options)
        image = np.asarray(rgb.to_ndarray(), dtype=np.uint8)
        image = composite_over_black(image) if format == "rgba" else image
        return image if orientation == Orientation() else orientation.apply(image)
