"""Clips seen in another way: mirrored, nearer or farther, in part, in other colors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from save_avs.losses import UNLABELED
from save_avs.models.preprocess import PAD_COLOR
from save_avs.training.stage import AugmentConfig
from save_avs.types import U8, AVSample

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601: what a color weighs as a gray
BESIDE = {"frames": PAD_COLOR, "masks": False, "labels": UNLABELED}  # what lies outside a frame


@dataclass(frozen=True)
class Window:
    """Rows and columns that are shown, in pixels of the frame; they may reach past its edges."""

    top: int
    left: int
    height: int
    width: int


def augment_pictures(sample: AVSample, options: AugmentConfig, rng: np.random.Generator) -> AVSample:
    """Draw how a clip is seen and show it so: all frames alike, and masks and labels with them."""
    mirrored = rng.random() < options.flip
    window = draw_window(rng, sample.frames.shape[1:3], scale=options.scale, crop=options.crop)
    brightness, contrast, saturation = rng.uniform(1 - options.color, 1 + options.color, 3)
    if options.color:
        frames = recolor(sample.frames, brightness=brightness, contrast=contrast, saturation=saturation)
        sample = replace(sample, frames=frames)
    sample = cut(sample, window)
    return mirror(sample) if mirrored else sample


def draw_window(
    rng: np.random.Generator, size: tuple[int, ...], *, scale: tuple[float, float], crop: float
) -> Window:
    """Draw what is shown of frames of ``size`` (height, width); see ``AugmentConfig`` for the rest.

    A window smaller than the frame lies anywhere in it; of a larger one the frame lies anywhere.
    """
    enlarged = np.exp(rng.uniform(*np.log(scale)))
    kept = rng.uniform(crop, 1.0, 2)
    height, width = (max(1, round(side * share / enlarged)) for side, share in zip(size, kept, strict=True))
    top, left = (_place(rng, side - shown) for side, shown in zip(size, (height, width), strict=True))
    return Window(top, left, height, width)


def _place(rng: np.random.Generator, room: int) -> int:
    return int(rng.integers(min(room, 0), max(room, 0), endpoint=True))


def middle_square(height: int, width: int) -> Window:
    """The largest square in the middle of a frame."""
    side = min(height, width)
    return Window((height - side) // 2, (width - side) // 2, side, side)


def cut(sample: AVSample, window: Window) -> AVSample:
    """What a window shows of a clip; beside the frame lies SAM's mean color, unmarked and unlabeled."""
    if window == Window(0, 0, *sample.frames.shape[1:3]):
        return sample
    parts = {part: _cut(values, window, BESIDE[part]) for part, values in _pictures(sample).items()}
    return replace(sample, **parts)


def _cut(values: NDArray[Any], window: Window, beside: Any) -> NDArray[Any]:
    out = np.empty((len(values), window.height, window.width, *values.shape[3:]), values.dtype)
    out[...] = beside
    height, width = values.shape[1:3]
    top, left = max(window.top, 0), max(window.left, 0)
    bottom, right = min(window.top + window.height, height), min(window.left + window.width, width)
    inside = (
        slice(None),
        slice(top - window.top, bottom - window.top),
        slice(left - window.left, right - window.left),
    )
    out[inside] = values[:, top:bottom, left:right]
    return out


def mirror(sample: AVSample) -> AVSample:
    """A clip mirrored left to right."""
    parts = {part: np.ascontiguousarray(values[:, :, ::-1]) for part, values in _pictures(sample).items()}
    return replace(sample, **parts)


def _pictures(sample: AVSample) -> dict[str, NDArray[Any]]:
    """The parts of a sample that have rows and columns."""
    return {part: values for part in BESIDE if (values := getattr(sample, part)) is not None}


def recolor(frames: U8, *, brightness: float, contrast: float, saturation: float) -> U8:
    """Change the colors of frames, u8 [T,H,W,3]; 1 leaves each as it is.

    Saturation scales a pixel's distance from its gray, contrast that from the mean gray of all frames,
    brightness everything. The three are one matrix, so values are clipped once, at the end.
    """
    mean = LUMA @ [frames[..., channel].mean() for channel in range(3)]
    mixing = saturation * np.eye(3) + (1 - saturation) * np.outer(LUMA, np.ones(3))
    matrix = (brightness * contrast * mixing).astype(np.float32)
    # one long product and no copies: several times the speed of one a row
    pixels = frames.reshape(-1, 3).astype(np.float32) @ matrix
    pixels += np.float32(brightness * (1 - contrast) * mean + 0.5)  # the half rounds
    np.clip(pixels, 0, 255, out=pixels)
    return pixels.astype(np.uint8).reshape(frames.shape)
