"""Logits and truth brought to the size at which a protocol compares them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from save_avs.metrics.protocols import FrameScoring
from save_avs.models.preprocess import postprocess_logits
from save_avs.models.save import Resize

Shape = tuple[int, int]


def shape_of(scoring: FrameScoring, truth: Shape, image_size: int) -> Shape:
    """(height, width) that a view compares frames at, whose truth has the size ``truth``."""
    if scoring.size == "truth":
        return truth
    side = image_size if scoring.size == "network" else scoring.size
    return side, side


def logits_at(logits: Tensor, shape: Shape, *, frame: Shape, resize: Resize) -> Tensor:
    """Resize logits [B,K,M,M] of frames of one size, ``frame``, bilinearly to [B,K,*shape].

    What a padded square holds beside the frame is cut away first.
    """
    if resize == "pad":
        rows = [
            torch.stack([postprocess_logits(channel, *frame, resize) for channel in one]) for one in logits
        ]
        logits = torch.stack(rows)
    if logits.shape[-2:] == shape:
        return logits
    return F.interpolate(logits.float(), shape, mode="bilinear", align_corners=False)


def truth_at(truth: Tensor, shape: Shape) -> Tensor:
    """Resize bool or integer maps [B,H,W] by nearest neighbor, pixel centers aligned as Pillow has them."""
    if truth.shape[-2:] == shape:
        return truth
    small = F.interpolate(truth[:, None].to(torch.uint8), shape, mode="nearest-exact")
    return small[:, 0].to(truth.dtype)
