"""Validation images: the first frames of a validation with target, predicted mask and probabilities."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from save_avs.training.callbacks.callback import ValidationImage
from save_avs.types import F32, U8
from save_avs.visualization.contact_sheet import TARGET_LEGEND, Tile, draw_contact_sheet
from save_avs.visualization.overlay import TARGET_COLOR, draw_mask

MAX_IMAGES = 8
MAX_PER_NAME = 2  # frames of one clip look alike
_LEGEND = (*TARGET_LEGEND, ("probability, black 0, white 1", (120, 124, 130)))


def make_validation_images(
    images: Tensor, logits: Tensor, masks: Tensor, names: Sequence[str]
) -> list[ValidationImage]:
    """Pair frames u8 [B,3,S,S] with logits [B,1,M,M] and target masks [B,1,M,M]."""
    frames = images.permute(0, 2, 3, 1).cpu().numpy()
    pred = logits.detach()[:, 0].float().sigmoid().cpu().numpy()
    target = masks[:, 0].float().cpu().numpy()
    return [ValidationImage(*parts) for parts in zip(names, frames, pred, target, strict=True)]


def add_images(held: list[ValidationImage], batch_images: Callable[[], list[ValidationImage]]) -> None:
    """Add the images of a batch, up to `MAX_IMAGES`; ``batch_images`` is not called once there are enough."""
    if len(held) >= MAX_IMAGES:
        return
    for image in batch_images():
        same_name = sum(other.name == image.name for other in held)
        if same_name < MAX_PER_NAME and len(held) < MAX_IMAGES:
            held.append(image)


def panels(image: ValidationImage) -> tuple[U8, U8, U8]:
    """Draw target, prediction and probabilities (gray), each u8 [S,S,3]."""
    frame = np.ascontiguousarray(image.frame)
    pred, target = (resize_mask(mask, frame.shape[0]) for mask in (image.pred, image.target))
    grays = np.repeat((pred * 255).round().astype(np.uint8)[..., None], 3, axis=2)
    return draw_mask(frame, target > 0.5, TARGET_COLOR), draw_mask(frame, pred > 0.5), grays


def resize_mask(mask: np.ndarray, side: int) -> F32:
    """Resize a mask with values 0..1, [M,M], bilinearly: f32 [side,side]."""
    image = Image.fromarray(mask.astype(np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR)).clip(0, 1)


def draw_validation_images(path: Path, images: Sequence[ValidationImage], title: str) -> None:
    """Write a contact sheet of all images."""
    tiles = [Tile(panels(image), (image.name,)) for image in images]
    draw_contact_sheet(path, tiles, title=title, columns=2, side=160, legend=_LEGEND)
