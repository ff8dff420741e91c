"""Upright RGB from decoded frames: rotation as phones store it, color conversion, alpha over black."""

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc, VideoReformatter

from save_avs.types import U8
from save_avs.video.container import Switch

_UNSPECIFIED = 2  # code of an unknown matrix, in FFmpeg and H.273
_SD_SIZE = (1280, 577)  # from this width or height on, video without color tags is HD


def _conversion_options(frame: Any, tone_map: Switch = "auto") -> dict[str, Any]:
    """Return the options of ``VideoReformatter.reformat`` that turn a frame into BT.709 RGB.

    A frame that does not name its matrix has that of BT.709 in HD and of BT.601 in SD, as players assume.
    HDR (PQ, HLG) and BT.2020 are mapped to the colors and the transfer of BT.709: the reference white of 203
    cd/m2 becomes white, and what is brighter is clipped (`_forget_peak`).

    Source: ITU-R BT.2408 (reference white), BT.1886 (transfer), libswscale/cms.c.
    """
    options: dict[str, Any] = {}
    is_hd = frame.width >= _SD_SIZE[0] or frame.height >= _SD_SIZE[1]
    if frame.colorspace == _UNSPECIFIED and not frame.format.is_rgb and is_hd:
        options["src_colorspace"] = Colorspace.ITU709
    is_hdr = frame.color_trc in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)
    if tone_map == "auto" and (is_hdr or frame.color_primaries == ColorPrimaries.BT2020):
        options |= {"dst_color_trc": ColorTrc.BT709, "dst_color_primaries": ColorPrimaries.BT709}
    return options


def _forget_peak(frame: Any) -> Any:
    """Remove what an HDR frame says about the display that it was graded on.

    libswscale would map that display's peak to white instead of the reference white: 203 cd/m2 become 51 %
    of the code range at a peak of 1000 cd/m2, 29 % at 4000.
    """
    graph = filter_graph(frame, "sidedata", "mode=delete")
    graph.push(frame)
    return graph.pull()


def filter_graph(frame: Any, name: str, options: str) -> Any:
    """Return a graph that passes frames like this one through a filter of FFmpeg."""
    graph: Any = Graph()
    kind = {"width": frame.width, "height": frame.height, "format": frame.format.name}
    source = graph.add_buffer(**kind, time_base=frame.time_base or Fraction(1))
    graph.link_nodes(source, graph.add(name, options), graph.add("buffersink")).configure()
    return graph


def _has_alpha(frame: Any) -> bool:
    """Return whether the pixels of a frame can be transparent."""
    return frame.format.has_palette or any(part.is_alpha for part in frame.format.components)


def _composite_over_black(image: U8) -> U8:
    """Put an image with alpha, u8 [H,W,4], over black, u8 [H,W,3]."""
    scaled = image[..., :3].astype(np.uint16) * image[..., 3:]
    return ((scaled + 127) // 255).astype(np.uint8)


class Orientation(NamedTuple):
    """One of the eight orientations of an image: transposed first, then flipped."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def apply(self, image: U8) -> U8:
        """Turn an image [H,W,C] upright; returns a contiguous array."""
        if self.transpose:
            image = image.transpose(1, 0, 2)
        rows, columns = (-1 if self.flip_y else 1), (-1 if self.flip_x else 1)
        return np.ascontiguousarray(image[::rows, ::columns])

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
        format, options = "rgba" if _has_alpha(frame) else "rgb24", _conversion_options(frame, self._tone_map)
        frame = _forget_peak(frame) if "dst_color_trc" in options else frame
        rgb = self._reformatter.reformat(frame, width=width, height=height, format=format, **options)
        image = np.asarray(rgb.to_ndarray(), dtype=np.uint8)
        image = _composite_over_black(image) if format == "rgba" else image
        return image if orientation == Orientation() else orientation.apply(image)
