"""Backgrounds of scenes: crops of photographs, procedural textures, patchworks of both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from save_avs.types import U8

SIDE = 256  # of a texture or a patchwork, pixels
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Background:
    """A part of an image, and how it is changed."""

    image: U8  # RGB u8 [H,W,3]
    box: Box  # (left, top, right, bottom) as fractions of it
    flip: bool = False  # mirrored left to right
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)  # per-channel brightness
    upside_down: bool = False  # also mirrored top to bottom
    channels: tuple[int, int, int] = (0, 1, 2)  # which channel of the image each of red, green and blue shows


def random_background(
    rng: np.random.Generator,
    photographs: Sequence[U8],
    *,
    texture_prob: float,
    patchwork_prob: float,
    augment: bool,
) -> Background:
    """Draw a crop of a photograph, or a procedural texture.

    The probabilities are those of `SceneOptions`; ``augment`` adds crops of any size, tints, flips and
    swapped channels, for training.
    """
    image = _random_image(rng, photographs, texture_prob)
    box = _random_box(rng, image, 0.3 if augment else 0.6)
    background = Background(image, box, bool(rng.random() < 0.5))
    if patchwork_prob and rng.random() < patchwork_prob:
        others = [_random_image(rng, photographs, texture_prob) for _ in range(rng.integers(1, 4))]
        patchwork = _random_patchwork(rng, background, others)
        background = replace(background, image=patchwork, box=(0.0, 0.0, 1.0, 1.0))
    if not augment:
        return background
    red, green, blue = rng.permutation(3) if rng.random() < 0.3 else range(3)
    return replace(
        background,
        gains=random_tint(rng, 0.35),
        upside_down=bool(rng.random() < 0.2),
        channels=(int(red), int(green), int(blue)),
    )


def _random_image(rng: np.random.Generator, photographs: Sequence[U8], texture_prob: float) -> U8:
    if rng.random() < texture_prob:
        return random_texture(rng)
    return photographs[int(rng.integers(len(photographs)))]


def _random_box(rng: np.random.Generator, image: U8, smallest: float) -> Box:
    """Draw a square anywhere in an image, its side at least ``smallest`` of the image's shorter side."""
    share = rng.uniform(smallest, 1.0)
    h, w = image.shape[:2]
    across, down = share * min(h, w) / w, share * min(h, w) / h
    left, top = rng.uniform(0, 1 - across), rng.uniform(0, 1 - down)
    return left, top, left + across, top + down


def random_tint(rng: np.random.Generator, width: float) -> tuple[float, float, float]:
    """Draw per-channel brightness around 1; ``width`` is the largest change in log brightness."""
    light = np.exp(rng.uniform(-width, width))
    r, g, b = light * np.exp(rng.uniform(-width / 2, width / 2, 3))
    return float(r), float(g), float(b)


def _random_patchwork(rng: np.random.Generator, base: Background, others: Sequence[U8]) -> U8:
    """Paste patches of other images over a background, RGB u8 [256,256,3].

    The patches are blobs of thresholded smooth noise, with sharp or soft edges: clutter that belongs to no
    object.
    """
    canvas = _crop(base.image, base.box)
    for other in others:
        patch = _crop(other, _random_box(rng, other, 0.1))
        canvas.paste(patch, mask=Image.fromarray(_random_blobs(rng)))
    return np.asarray(canvas)


def _crop(image: U8, box: Box) -> Image.Image:
    h, w = image.shape[:2]
    pixels = (box[0] * w, box[1] * h, box[2] * w, box[3] * h)
    return Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR, pixels, reducing_gap=2.0)


def _random_blobs(rng: np.random.Generator) -> U8:
    """Draw an opacity, u8 [256,256], by thresholding smooth noise."""
    cells = int(rng.integers(2, 9))
    grid = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    noise = np.asarray(grid.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
    threshold, slope = np.quantile(noise, rng.uniform(0.5, 0.95)), rng.choice([2.0, 40.0])
    return np.clip((noise - threshold) * slope, 0, 255).astype(np.uint8)


def random_texture(rng: np.random.Generator, side: int = SIDE) -> U8:
    """Draw smooth noise over a few scales between random colors, RGB u8 [side,side,3]."""
    total = np.zeros((side, side, 3), np.float32)
    weight = 1.0
    for cells in rng.choice([2, 3, 5, 9, 17, 33, 65], size=3, replace=False):
        down = max(2, int(cells * rng.uniform(0.3, 1.0)))
        grid = Image.fromarray(rng.integers(0, 256, (down, int(cells), 3), dtype=np.uint8))
        total += weight * np.asarray(grid.resize((side, side), Image.Resampling.BICUBIC), np.float32)
        weight *= rng.uniform(0.3, 0.9)
    low, high = total.min(), total.max()
    return ((total - low) * (255.0 / max(high - low, 1.0))).astype(np.uint8)
