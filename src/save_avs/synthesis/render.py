"""Pictures of a scene, and which thing each pixel shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from save_avs.synthesis.background import Background
from save_avs.synthesis.scene import Scene, SceneObject
from save_avs.types import U8

InstanceMap = NDArray[np.int8]  # index of the thing that a pixel shows, -1 for the backdrop
OPAQUE = 127


def render_scene(scene: Scene, time: float, height: int, width: int) -> tuple[U8, InstanceMap]:
    """Paint a scene as it looks at ``time`` seconds.

    Returns:
        RGB u8 [H,W,3] and layers i8 [H,W]; what is hidden behind another thing belongs to the one in front.
    """
    canvas = np.array(_paint_backdrop(scene.background, height, width))
    instances = np.full((height, width), -1, np.int8)
    for i, thing in enumerate(scene.objects):
        x, y = thing.at(time)
        patch = _paint_thing(thing, min(height, width))
        left, top = round(x * width - patch.shape[1] / 2), round(y * height - patch.shape[0] / 2)
        _lay(canvas, instances, patch, i, left, top)
    if scene.blur:
        radius = scene.blur * min(height, width)
        canvas = np.asarray(Image.fromarray(canvas).filter(ImageFilter.GaussianBlur(radius)))
    return canvas, instances


def _paint_backdrop(background: Background, height: int, width: int) -> Image.Image:
    box = _fit(background, height / width)
    image = Image.fromarray(background.picture).resize(
        (width, height), Image.Resampling.BILINEAR, box, reducing_gap=2.0
    )
    if background.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if background.upside_down:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    if background.channels != (0, 1, 2):
        bands = image.split()
        image = Image.merge("RGB", [bands[i] for i in background.channels])
    return image.point(_tint_table(background.gains))


def _fit(background: Background, slope: float) -> tuple[float, float, float, float]:
    """The largest centered part of the backdrop's box whose height / width is ``slope``, in pixels."""
    height, width = background.picture.shape[:2]
    left, right = (share * width for share in background.box[::2])
    top, bottom = (share * height for share in background.box[1::2])
    w, h = right - left, bottom - top
    across, down = (w, w * slope) if w * slope <= h else (h / slope, h)
    x, y = left + (w - across) / 2, top + (h - down) / 2
    return x, y, x + across, y + down


def _tint_table(gains: tuple[float, ...]) -> list[int]:
    ramp = np.arange(256)
    return np.concatenate([np.clip(ramp * g, 0, 255) for g in gains]).astype(int).tolist()


def _paint_thing(thing: SceneObject, side: int) -> U8:
    """The cutout as it stands in a picture whose shorter side is ``side``, RGBA u8 [h,w,4]."""
    rgba = thing.cutout.rgba
    h, w = rgba.shape[0], rgba.shape[1] * thing.aspect
    factor = thing.size * side / max(h, w)
    image = Image.fromarray(rgba).resize(
        (max(1, round(w * factor)), max(1, round(h * factor))), Image.Resampling.BILINEAR, reducing_gap=2.0
    )
    if thing.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if thing.angle:
        image = image.rotate(thing.angle, Image.Resampling.BILINEAR, expand=True)
    return np.asarray(image.point([*_tint_table(thing.gains), *range(256)]))


def _lay(canvas: U8, instances: InstanceMap, patch: U8, index: int, left: int, top: int) -> None:
    """Blend a patch over the canvas in place, cut off at the edges."""
    height, width = instances.shape
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + patch.shape[1], width), min(top + patch.shape[0], height)
    if x0 >= x1 or y0 >= y1:
        return
    part = patch[y0 - top : y1 - top, x0 - left : x1 - left]
    alpha = part[..., 3:].astype(np.uint16)
    under = canvas[y0:y1, x0:x1]
    under[:] = (part[..., :3] * alpha + under * (255 - alpha) + 127) // 255
    instances[y0:y1, x0:x1][part[..., 3] > OPAQUE] = index
