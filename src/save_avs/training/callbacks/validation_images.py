"""Validation images: the first frames of a validation with target, predicted mask and probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from save_avs._files import atomic_path
from save_avs.training.callbacks.callback import ValidationImage
from save_avs.types import F32, U8
from save_avs.visualization.contact_sheet import BACKGROUND_COLOR, TEXT_COLOR
from save_avs.visualization.overlay import MASK_COLOR, TARGET_COLOR, draw_mask

MAX_IMAGES = 8
MAX_PER_NAME = 2  # frames of one clip look alike
_COLUMNS, _SIDE, _GAP, _LINE = 2, 160, 12, 18  # tiles per row; pixels: a panel, between tiles, a line of text
_GRAY = (120, 124, 130)
_LEGEND = (
    ("target", TARGET_COLOR),
    ("prediction", MASK_COLOR),
    ("probability, black 0, white 1", _GRAY),
)


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


def panels(image: ValidationImage) -> U8:
    """Draw target, prediction and probabilities (gray) side by side: u8 [S,3S,3]."""
    frame = np.ascontiguousarray(image.frame)
    pred, target = (resize_mask(mask, frame.shape[0]) for mask in (image.pred, image.target))
    grays = np.repeat((pred * 255).round().astype(np.uint8)[..., None], 3, axis=2)
    return np.concatenate(
        [draw_mask(frame, target > 0.5, TARGET_COLOR), draw_mask(frame, pred > 0.5), grays], axis=1
    )


def resize_mask(mask: np.ndarray, side: int) -> F32:
    """Resize a mask with values 0..1, [M,M], bilinearly: f32 [side,side]."""
    image = Image.fromarray(mask.astype(np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR)).clip(0, 1)


def draw_contact_sheet(path: Path, images: Sequence[ValidationImage], title: str) -> None:
    """Write the panels of all images as one PNG."""
    columns = min(_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    tile_width, tile_height = 3 * _SIDE + _GAP, _SIDE + _LINE + _GAP
    header = 2 * _LINE + _GAP
    size = (columns * tile_width + _GAP, header + rows * tile_height)
    sheet = Image.new("RGB", size, BACKGROUND_COLOR)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    pen.text((_GAP, 6), title, TEXT_COLOR, ImageFont.load_default(14))
    for k, (text, color) in enumerate(_LEGEND):
        pen.text((_GAP + k * _SIDE, 6 + _LINE), text, color, font)
    for k, image in enumerate(images):
        x, y = _GAP + k % columns * tile_width, header + k // columns * tile_height
        sheet.paste(Image.fromarray(panels(image)).resize((3 * _SIDE, _SIDE)), (x, y))
        pen.text((x, y + _SIDE + 2), image.name[:64], TEXT_COLOR, font)
    with atomic_path(path) as tmp:
        sheet.save(tmp)
