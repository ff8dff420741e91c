"""How the background of a scene lights its objects: colors drawn towards its own, shadows on the ground."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from save_avs.types import F32, U8

LARGEST_GAIN = 2.0  # of a color channel: a black object does not turn white in front of a bright wall


@dataclass(frozen=True)
class Lighting:
    """How a scene's background lights its objects."""

    match: float  # 0 keeps an object's mean color, 1 makes it the background's
    darkness: float  # share of the light that a shadow takes away
    length: float  # of a shadow, as a fraction of the object's height
    lean: float  # how far a shadow's end lies to the right of its foot, as a fraction of the object's width
    softness: float  # radius of a shadow's blur, as a fraction of the object's height

    def tint(self, patch: U8, background: F32) -> U8:
        """Return an object, RGBA u8 [h,w,4], in front of a background of mean color f32 [3]."""
        alpha = patch[..., 3:].astype(np.float32)
        mean = (patch[..., :3] * alpha).sum((0, 1)) / max(float(alpha.sum()), 1.0)
        gains = ((background + 1.0) / (mean + 1.0)).clip(1 / LARGEST_GAIN, LARGEST_GAIN) ** self.match
        color = (patch[..., :3] * gains).clip(0, 255).astype(np.uint8)
        return np.concatenate([color, patch[..., 3:]], axis=2)

    def cast_shadow(self, canvas: U8, patch: U8, left: int, top: int) -> None:
        """Darken the canvas, RGB u8 [H,W,3], in place behind an object whose corner is at (left, top).

        The shadow is the object's outline, flattened to its foot, leaning and blurred.
        """
        height, width = patch.shape[:2]
        bilinear = Image.Resampling.BILINEAR
        flat = max(1, round(self.length * height))
        slope = self.lean * width / flat
        outline = Image.fromarray(patch[..., 3]).resize((width, flat), bilinear)
        foot = top + height
        # output pixel (x, y) takes the outline's pixel (x - left - slope * (foot - y), y - foot + flat)
        shift = (1.0, slope, -left - slope * foot, 0.0, 1.0, float(flat - foot))
        shadow = outline.transform(
            canvas.shape[1::-1], Image.Transform.AFFINE, shift, Image.Resampling.BILINEAR
        )
        shadow = shadow.filter(ImageFilter.GaussianBlur(self.softness * height))
        kept = 1.0 - self.darkness / 255 * np.asarray(shadow, np.float32)[..., None]
        canvas[:] = (canvas * kept + 0.5).astype(np.uint8)


def random_lighting(rng: np.random.Generator) -> Lighting:
    """Draw a light, from an overcast sky to a low sun."""
    return Lighting(
        match=float(rng.uniform(0.1, 0.8)),
        darkness=float(rng.uniform(0.15, 0.7)),
        length=float(rng.uniform(0.1, 0.6)),
        lean=float(rng.uniform(-0.6, 0.6)),
        softness=float(rng.uniform(0.01, 0.08)),
    )
