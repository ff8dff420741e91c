"""Masks as they form: the first frames of a validation, drawn with what was found beside the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from save_avs.training.callbacks.base import ValidationImage
from save_avs.types import F32, U8
from save_avs.visualization.overlay import TARGET_COLOR, draw_mask

WANTED = 8
OF_A_NAME = 2  # frames of one clip look alike


def validation_images(
    images: Tensor, logits: Tensor, masks: Tensor, names: Sequence[str]
) -> list[ValidationImage]:
    """Frames u8 [B,3,S,S] with logits [B,1,M,M] and true shares [B,1,M,M] as pictures."""
    frames = images.permute(0, 2, 3, 1).cpu().numpy()
    found = logits.detach()[:, 0].float().sigmoid().cpu().numpy()
    return [
        ValidationImage(*parts)
        for parts in zip(names, frames, found, masks[:, 0].float().cpu().numpy(), strict=True)
    ]


def add_pictures(
    held: list[ValidationImage], draw_batch: Callable[[Any], list[ValidationImage]], batch: Any
) -> None:
    """Add a validation batch's pictures to those held, until `WANTED` are.

    ``draw_batch`` is a task's ``pictures``; it is not asked once there are enough.
    """
    if len(held) >= WANTED:
        return
    for picture in draw_batch(batch):
        alike = sum(other.name == picture.name for other in held)
        if alike < OF_A_NAME and len(held) < WANTED:
            held.append(picture)


def panels(picture: ValidationImage) -> U8:
    """Side by side: the truth in blue, the mask found in amber, its probabilities as grays; u8 [S,3S,3]."""
    frame = np.ascontiguousarray(picture.frame)
    side = frame.shape[0]
    found, truth = enlarged(picture.found, side), enlarged(picture.truth, side)
    grays = np.repeat((found * 255).round().astype(np.uint8)[..., None], 3, axis=2)
    return np.concatenate(
        [draw_mask(frame, truth > 0.5, TARGET_COLOR), draw_mask(frame, found > 0.5), grays], axis=1
    )


def enlarged(mask: np.ndarray, side: int) -> F32:
    """A mask of values 0..1, [M,M], as large as its frame: f32 [side,side]."""
    image = Image.fromarray(mask.astype(np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR)).clip(0, 1)
