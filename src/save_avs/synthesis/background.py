"""What lies behind the things of a scene: a crop of a photograph, a procedural texture, or a patchwork."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from save_avs.types import U8

SIDE = 256  # of a texture or a patchwork, pixels
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Background:
    """A part of a picture.

    Attributes:
        picture: RGB u8 [H,W,3].
        box: (left, top, right, bottom) in shares of it.
        flip: mirrored left to right.
        gains: per-channel brightness.
        upside_down: mirrored top to bottom as well.
        channels: which channel of the picture each of red, green and blue shows.
    """

    picture: U8
    box: Box
    flip: bool = False
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    upside_down: bool = False
    channels: tuple[int, int, int] = (0, 1, 2)


def random_background(
    rng: np.random.Generator,
    photographs: Sequence[U8],
    *,
    texture_prob: float,
    patchwork_prob: float,
    augment: bool,
) -> Background:
    """A crop of a photograph, or a procedural texture.

    Args:
        rng: decides everything.
        photographs: each RGB u8 [H,W,3].
        texture_prob: probability of a texture in place of a photograph.
        patchwork_prob: probability that pieces of other pictures lie on it.
        augment: crops of any size, tints, turns and exchanged colors, for training.
    """
    picture = _draw_picture(rng, photographs, texture_prob)
    box = _draw_box(rng, picture, 0.3 if augment else 0.6)
    plain = Background(picture, box, bool(rng.random() < 0.5))
    if patchwork_prob and rng.random() < patchwork_prob:
        others = [_draw_picture(rng, photographs, texture_prob) for _ in range(rng.integers(1, 4))]
        plain = replace(plain, picture=_patch_together(rng, plain, others), box=(0.0, 0.0, 1.0, 1.0))
    return _vary(rng, plain) if augment else plain


def _draw_picture(rng: np.random.Generator, photographs: Sequence[U8], texture_prob: float) -> U8:
    if rng.random() < texture_prob:
        return random_texture(rng)
    return photographs[int(rng.integers(len(photographs)))]


def _draw_box(rng: np.random.Generator, picture: U8, least: float) -> Box:
    """A square anywhere in a picture, its side at least ``least`` of the picture's shorter one."""
    share = rng.uniform(least, 1.0)
    h, w = picture.shape[:2]
    across, down = share * min(h, w) / w, share * min(h, w) / h
    left, top = rng.uniform(0, 1 - across), rng.uniform(0, 1 - down)
    return left, top, left + across, top + down


def _vary(rng: np.random.Generator, background: Background) -> Background:
    """A tint; now and then upside down, now and then in exchanged colors."""
    red, green, blue = rng.permutation(3) if rng.random() < 0.3 else range(3)
    return replace(
        background,
        gains=random_tint(rng, 0.35),
        upside_down=bool(rng.random() < 0.2),
        channels=(int(red), int(green), int(blue)),
    )


def random_tint(rng: np.random.Generator, width: float) -> tuple[float, float, float]:
    """Per-channel brightness around 1; ``width`` is the log of the most that light changes."""
    light = np.exp(rng.uniform(-width, width))
    r, g, b = light * np.exp(rng.uniform(-width / 2, width / 2, 3))
    return float(r), float(g), float(b)


def _patch_together(rng: np.random.Generator, base: Background, others: Sequence[U8]) -> U8:
    """Lay pieces of other pictures over a backdrop, RGB u8 [256,256,3].

    The pieces have the outlines of a random landscape's islands, sharp or soft: edges and clutter that belong
    to no thing.
    """
    canvas = _crop(base.picture, base.box)
    for other in others:
        piece = _crop(other, _draw_box(rng, other, 0.1))
        canvas.paste(piece, mask=Image.fromarray(_islands(rng)))
    return np.asarray(canvas)


def _crop(picture: U8, box: Box) -> Image.Image:
    h, w = picture.shape[:2]
    pixels = (box[0] * w, box[1] * h, box[2] * w, box[3] * h)
    return Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BILINEAR, pixels, reducing_gap=2.0)


def _islands(rng: np.random.Generator) -> U8:
    """An opacity, u8 [256,256]: what rises above the sea of a random landscape."""
    cells = int(rng.integers(2, 9))
    grid = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    land = np.asarray(grid.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
    sea, slope = np.quantile(land, rng.uniform(0.5, 0.95)), rng.choice([2.0, 40.0])
    return np.clip((land - sea) * slope, 0, 255).astype(np.uint8)


def random_texture(rng: np.random.Generator, side: int = SIDE) -> U8:
    """Smooth noise over a few scales between random colors, RGB u8 [side,side,3]."""
    total = np.zeros((side, side, 3), np.float32)
    weight = 1.0
    for cells in rng.choice([2, 3, 5, 9, 17, 33, 65], size=3, replace=False):
        down = max(2, int(cells * rng.uniform(0.3, 1.0)))
        grid = Image.fromarray(rng.integers(0, 256, (down, int(cells), 3), dtype=np.uint8))
        total += weight * np.asarray(grid.resize((side, side), Image.Resampling.BICUBIC), np.float32)
        weight *= rng.uniform(0.3, 0.9)
    low, high = total.min(), total.max()
    return ((total - low) * (255.0 / max(high - low, 1.0))).astype(np.uint8)
