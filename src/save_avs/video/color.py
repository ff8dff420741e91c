"""Color of decoded frames: which conversion to RGB they need, and alpha over black."""

from fractions import Fraction
from typing import Any, Literal

import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc

from save_avs.errors import UsageError
from save_avs.types import U8

Switch = Literal["auto", "off"]


_UNSPECIFIED = 2  # code of an unknown matrix, in FFmpeg and H.273
_SD_SIZE = (1280, 577)  # from this width or height on, video without color tags is HD


def check_switch(name: str, value: str) -> None:
    """Raise a UsageError unless an option is ``auto`` or ``off``."""
    if value not in ("auto", "off"):
        raise UsageError(f"{name} must be auto or off, not {value!r}")


def conversion_options(frame: Any, tone_map: Switch = "auto") -> dict[str, Any]:
    """Return the options of ``VideoReformatter.reformat`` that turn a frame into BT.709 RGB.

    A frame that does not name its matrix has that of BT.709 in HD and of BT.601 in SD, as players assume.
    HDR (PQ, HLG) and BT.2020 are mapped to the colors and the transfer of BT.709: the reference white of 203
    cd/m2 becomes white, and what is brighter is clipped (`forget_peak`).

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


def forget_peak(frame: Any) -> Any:
    """Remove what an HDR frame says about the display that it was graded on.

    libswscale would map that display's peak to white instead of the reference white: 203 cd/m2 become 51 %
    of the code range at a peak of 1000 cd/m2, 29 % at 4000.
    """
    graph = Graph()
    options = {"width": frame.width, "height": frame.height, "format": frame.format.name}
    source = graph.add_buffer(**options, time_base=frame.time_base or Fraction(1))
    remove, sink = graph.add("sidedata", "mode=delete"), graph.add("buffersink")
    source.link_to(remove)
    remove.link_to(sink)
    graph.configure()
    graph.push(frame)
    return graph.pull()


def has_alpha(frame: Any) -> bool:
    """Return whether the pixels of a frame can be transparent."""
    return frame.format.has_palette or any(part.is_alpha for part in frame.format.components)


def composite_over_black(image: U8) -> U8:
    """Put an image with alpha, u8 [H,W,4], over black, u8 [H,W,3]."""
    scaled = image[..., :3].astype(np.uint16) * image[..., 3:]
    return ((scaled + 127) // 255).astype(np.uint8)
