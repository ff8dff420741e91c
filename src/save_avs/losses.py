"""Losses: pure functions over annotated frames, in float32, divided by a count the caller may pass.

A process that holds part of a batch passes the whole batch's number of annotated frames as ``normalizer``:
the gradients of all processes then add up to those of one. (Where they are averaged instead, as by
``DistributedDataParallel``, divide that number by the number of processes first.)
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

UNLABELED = 255  # a pixel of unknown class; no benchmark has as many classes


class SaveLoss(NamedTuple):
    """The training loss and its parts, each a scalar; ``total`` is the one to differentiate."""

    total: Tensor
    bce: Tensor
    iou: Tensor


def bce_loss(
    logits: Tensor, targets: Tensor, has_mask: Tensor, normalizer: float | Tensor | None = None
) -> Tensor:
    """Return the binary cross-entropy: mean over a frame's pixels, summed over annotated frames.

    Args:
        logits: [B,1,M,M].
        targets: [B,1,M,M], 1 for sounding objects.
        has_mask: bool [B], the annotated frames.
        normalizer: what the sum is divided by; the number of annotated frames (at least 1) by default.

    Returns:
        f32 scalar; 0, with a gradient of 0, when no frame is annotated.

    Raises:
        ValueError: when shapes do not match.
    """
    _check(logits, targets, has_mask)
    pixels = F.binary_cross_entropy_with_logits(logits.float(), targets.float(), reduction="none")
    return _over_annotated(pixels.flatten(1).mean(1), has_mask, normalizer)


def soft_iou_loss(
    logits: Tensor,
    targets: Tensor,
    has_mask: Tensor,
    normalizer: float | Tensor | None = None,
    smooth: float = 1.0,
) -> Tensor:
    """Return the soft IoU loss, with the arguments, result and errors of `bce_loss`.

    It is 1 - (sum p t + smooth) / (sum (p + t - p t) + smooth) per frame. ``smooth`` is in pixels, above 0. A
    frame without a sounding object has the loss S / (S + smooth), S the sum of its probabilities: 0 for
    an empty prediction. Its gradient, smooth / (S + smooth)^2, matters only once few pixels are left:
    until then cross-entropy has to empty the frame.

    Source: the soft IoU of SAMA-AVS (arXiv 2305.11019); the smoothing is ours.
    """
    _check(logits, targets, has_mask)
    p, t = logits.float().sigmoid().flatten(1), targets.float().flatten(1)  # [B,M*M]
    shared = (p * t).sum(1)
    union = p.sum(1) + t.sum(1) - shared
    return _over_annotated(1 - (shared + smooth) / (union + smooth), has_mask, normalizer)


def save_loss(
    logits: Tensor, targets: Tensor, has_mask: Tensor, normalizer: float | Tensor | None = None
) -> SaveLoss:
    """SAVE's loss: cross-entropy plus soft IoU, with the arguments and errors of `bce_loss`.

    Source: SAVE (arXiv 2407.02004) names the two terms; weights 1:1 from SAMA-AVS.
    """
    bce = bce_loss(logits, targets, has_mask, normalizer)
    iou = soft_iou_loss(logits, targets, has_mask, normalizer)
    return SaveLoss(bce + iou, bce, iou)


def class_loss(
    logits: Tensor, labels: Tensor, has_mask: Tensor, normalizer: float | Tensor | None = None
) -> Tensor:
    """Return the cross-entropy of the classes: mean over a frame's labeled pixels, reduced as `bce_loss`.

    Args:
        logits: [B,K,M,M], background first.
        labels: int64 [B,M,M]; `UNLABELED` for pixels of unknown class.
        has_mask: as of `bce_loss`.
        normalizer: as of `bce_loss`.

    Raises:
        ValueError: when shapes do not match.
    """
    if logits.ndim != 4 or labels.shape != (len(logits), *logits.shape[2:]):
        shapes = f"{list(logits.shape)} and {list(labels.shape)}"
        raise ValueError(f"logits must be [B,K,M,M] and labels [B,M,M], got {shapes}")
    _check_frames(logits, has_mask)
    pixels = F.cross_entropy(logits.float(), labels, ignore_index=UNLABELED, reduction="none")
    known = (labels != UNLABELED).flatten(1).sum(1).clamp(min=1)
    return _over_annotated(pixels.flatten(1).sum(1) / known, has_mask, normalizer)


def _check(logits: Tensor, targets: Tensor, has_mask: Tensor) -> None:
    if logits.ndim != 4 or logits.shape[1] != 1 or targets.shape != logits.shape:
        raise ValueError(
            f"logits and targets must both be [B,1,M,M], got {list(logits.shape)} and {list(targets.shape)}"
        )
    _check_frames(logits, has_mask)


def _check_frames(logits: Tensor, has_mask: Tensor) -> None:
    if has_mask.shape != logits.shape[:1] or has_mask.dtype != torch.bool:
        raise ValueError(f"has_mask must be bool [B], got {has_mask.dtype} {list(has_mask.shape)}")


def _over_annotated(per_frame: Tensor, has_mask: Tensor, normalizer: float | Tensor | None) -> Tensor:
    if normalizer is None:
        normalizer = has_mask.sum().clamp(min=1)
    return torch.where(has_mask, per_frame, 0.0).sum() / normalizer
