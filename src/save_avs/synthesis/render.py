"""Frames, instance maps and audio of a scene."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.synthesis.background import Background
from save_avs.synthesis.scene import AudioSource, Scene, SceneObject
from save_avs.types import F32, U8

InstanceMap = NDArray[np.int8]  # index of the object that a pixel shows, -1 for the background
OPAQUE = 127
FADE_S = 0.01


def render_scene(scene: Scene, time: float, height: int, width: int) -> tuple[U8, InstanceMap]:
    """Render a scene as it looks at ``time`` seconds.

    Returns:
        RGB u8 [H,W,3] and instance map i8 [H,W]; where objects overlap, the front one counts.
    """
    canvas = np.array(_render_background(scene.background, height, width))
    instances = np.full((height, width), -1, np.int8)
    ambient = canvas.mean((0, 1), dtype=np.float32)
    for i, item in enumerate(scene.objects):
        x, y = item.position_at(time)
        patch = _render_object(item, min(height, width))
        left, top = round(x * width - patch.shape[1] / 2), round(y * height - patch.shape[0] / 2)
        if scene.lighting is not None:
            scene.lighting.cast_shadow(canvas, patch, left, top)
            patch = scene.lighting.tint(patch, ambient)
        _blend(canvas, instances, patch, i, left, top)
    if scene.blur:
        radius = scene.blur * min(height, width)
        canvas = np.asarray(Image.fromarray(canvas).filter(ImageFilter.GaussianBlur(radius)))
    return canvas if scene.camera is None else scene.camera(canvas), instances


def mix_audio(audio_sources: Iterable[AudioSource], start: float, stop: float) -> F32:
    """Mix what sounds from ``start`` to ``stop`` seconds, at 16 kHz, f32 [S] in -1..1."""
    first, last = round(start * SAMPLE_RATE), round(stop * SAMPLE_RATE)
    total = np.zeros(last - first, np.float32)
    for source in audio_sources:
        _add(total, source, first)
    return np.clip(total, -1.0, 1.0)


def _add(total: F32, source: AudioSource, first: int) -> None:
    """Add a source, in place, to audio that begins at sample ``first``."""
    on, off = (round(s * SAMPLE_RATE) for s in source.span)
    a, b = max(on - first, 0), min(off - first, len(total))
    if a >= b:
        return
    samples = np.arange(a + first - on, b + first - on)  # counted from the start of the span
    loop = np.concatenate([source.waveform, np.zeros(1 + round(source.gap * SAMPLE_RATE), np.float32)])
    position = (samples * source.speed + source.offset * SAMPLE_RATE) % (len(loop) - 1)
    index = position.astype(np.int64)
    if source.speed == 1.0:
        audio = loop[index]
    else:
        fraction = (position - index).astype(np.float32)
        audio = loop[index] * (1 - fraction) + loop[index + 1] * fraction
    fade = np.minimum(np.minimum(samples, off - on - samples) / (FADE_S * SAMPLE_RATE), 1.0)
    total[a:b] += audio * fade.astype(np.float32) * source.gain


def _render_background(background: Background, height: int, width: int) -> Image.Image:
    box = _crop_box(background, height / width)
    image = Image.fromarray(background.image).resize(
        (width, height), Image.Resampling.BILINEAR, box, reducing_gap=2.0
    )
    if background.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if background.upside_down:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    if background.channels != (0, 1, 2):
        bands = image.split()
        image = Image.merge("RGB", [bands[i] for i in background.channels])
    return image.point(_gain_table(background.gains))


def _crop_box(background: Background, slope: float) -> tuple[float, float, float, float]:
    """Return the largest centered part of the box whose height / width is ``slope``, in pixels."""
    height, width = background.image.shape[:2]
    left, right = (share * width for share in background.box[::2])
    top, bottom = (share * height for share in background.box[1::2])
    w, h = right - left, bottom - top
    across, down = (w, w * slope) if w * slope <= h else (h / slope, h)
    x, y = left + (w - across) / 2, top + (h - down) / 2
    return x, y, x + across, y + down


def _gain_table(gains: tuple[float, ...]) -> list[int]:
    ramp = np.arange(256)
    return np.concatenate([np.clip(ramp * g, 0, 255) for g in gains]).astype(int).tolist()


def _render_object(item: SceneObject, side: int) -> U8:
    """Render a cutout for a frame whose shorter side is ``side``, RGBA u8 [h,w,4]."""
    rgba = item.cutout.rgba
    h, w = rgba.shape[0], rgba.shape[1] * item.aspect
    factor = item.size * side / max(h, w)
    image = Image.fromarray(rgba).resize(
        (max(1, round(w * factor)), max(1, round(h * factor))), Image.Resampling.BILINEAR, reducing_gap=2.0
    )
    if item.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if item.angle:
        image = image.rotate(item.angle, Image.Resampling.BILINEAR, expand=True)
    return np.asarray(image.point([*_gain_table(item.gains), *range(256)]))


def _blend(canvas: U8, instances: InstanceMap, patch: U8, index: int, left: int, top: int) -> None:
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
