"""Image augmentation: flip, zoom, crop and color of clips, with masks and labels; random colors of frames."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from save_avs.losses import UNLABELED
from save_avs.models.preprocess import PAD_COLOR
from save_avs.training.stage_config import AugmentConfig
from save_avs.types import U8, AVSample

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601: weights of the channels in a gray value
PADDING = {"frames": PAD_COLOR, "masks": False, "labels": UNLABELED}  # outside of a frame


class Window(NamedTuple):
    """A rectangle in pixels of the frame; it may reach past the frame's edges."""

    top: int
    left: int
    height: int
    width: int


def augment_images(sample: AVSample, options: AugmentConfig, rng: np.random.Generator) -> AVSample:
    """Augment a clip at random: all frames alike, and masks and labels with them."""
    flipped = rng.random() < options.flip
    window = random_window(rng, sample.frames.shape[1:3], scale=options.scale, crop=options.crop)
    brightness, contrast, saturation = rng.uniform(1 - options.color, 1 + options.color, 3)
    if options.color:
        frames = adjust_color(sample.frames, brightness=brightness, contrast=contrast, saturation=saturation)
        sample = replace(sample, frames=frames)
    sample = crop(sample, window)
    return flip(sample) if flipped else sample


def random_window(
    rng: np.random.Generator, size: tuple[int, ...], *, scale: tuple[float, float], crop: float
) -> Window:
    """Draw the visible window of frames of ``size`` (height, width); see ``AugmentConfig`` for the rest.

    A window smaller than the frame is anywhere in it; in a larger one the frame is anywhere.
    """
    zoom = np.exp(rng.uniform(*np.log(scale)))
    kept = rng.uniform(crop, 1.0, 2)
    height, width = (max(1, round(side * share / zoom)) for side, share in zip(size, kept, strict=True))
    top, left = (
        int(rng.integers(min(slack, 0), max(slack, 0), endpoint=True))
        for slack in (size[0] - height, size[1] - width)
    )
    return Window(top, left, height, width)


def center_square(height: int, width: int) -> Window:
    """Return the largest square in the center of a frame."""
    side = min(height, width)
    return Window((height - side) // 2, (width - side) // 2, side, side)


def crop(sample: AVSample, window: Window) -> AVSample:
    """Crop a clip to a window; outside of the frame it has SAM's mean color, no mask and no labels."""
    if window == (0, 0, *sample.frames.shape[1:3]):
        return sample
    return replace(sample, **{k: _crop(v, window, PADDING[k]) for k, v in _image_arrays(sample).items()})


def _crop(values: NDArray[Any], window: Window, padding: Any) -> NDArray[Any]:
    out = np.empty((len(values), window.height, window.width, *values.shape[3:]), values.dtype)
    out[...] = padding
    height, width = values.shape[1:3]
    top, left = max(window.top, 0), max(window.left, 0)
    bottom, right = min(window.top + window.height, height), min(window.left + window.width, width)
    rows, columns = (
        slice(top - window.top, bottom - window.top),
        slice(left - window.left, right - window.left),
    )
    out[:, rows, columns] = values[:, top:bottom, left:right]
    return out


def flip(sample: AVSample) -> AVSample:
    """Mirror a clip left to right."""
    flipped = {k: np.ascontiguousarray(v[:, :, ::-1]) for k, v in _image_arrays(sample).items()}
    return replace(sample, **flipped)


def _image_arrays(sample: AVSample) -> dict[str, NDArray[Any]]:
    """Return the arrays of a sample that have rows and columns."""
    return {name: values for name in PADDING if (values := getattr(sample, name)) is not None}


def adjust_color(frames: U8, *, brightness: float, contrast: float, saturation: float) -> U8:
    """Adjust the colors of frames, u8 [T,H,W,3]; a factor of 1 changes nothing.

    Saturation scales a pixel's distance from its gray, contrast that from the mean gray of all frames,
    brightness everything. The three are one matrix, so values are clipped once, at the end.
    """
    mean = LUMA @ [frames[..., channel].mean() for channel in range(3)]
    mixing = saturation * np.eye(3) + (1 - saturation) * np.outer(LUMA, np.ones(3))
    matrix = (brightness * contrast * mixing).astype(np.float32)
    # one long product without copies is several times as fast as one per row
    pixels = frames.reshape(-1, 3).astype(np.float32) @ matrix
    pixels += np.float32(brightness * (1 - contrast) * mean + 0.5)  # the half rounds
    np.clip(pixels, 0, 255, out=pixels)
    return pixels.astype(np.uint8).reshape(frames.shape)


def recolor(images: Tensor, prob: float) -> Tensor:
    """Give each frame other colors with a probability; RGB 0..255 [B,3,S,S], edges stay where they were.

    Each new channel is a random direction in color space, of random contrast and brightness: domain
    randomization, as of Tobin et al. 2017 (arXiv 1703.06907).
    """
    shape = (len(images), 3, 1)
    mixing = F.normalize(torch.randn(len(images), 3, 3), dim=2) * torch.empty(shape).uniform_(-0.5, 0.4).exp()
    shift = torch.empty(shape).uniform_(-38.0, 38.0)
    drawn = torch.rand(len(images), 1, 1, 1) < prob
    mixing, shift, drawn = (x.to(images.device) for x in (mixing, shift, drawn))
    centered = images.float().flatten(2) - 127.5
    mixed = (mixing @ centered + shift + 127.5).clamp(0, 255).view_as(images)
    return torch.where(drawn, mixed, images.float())
