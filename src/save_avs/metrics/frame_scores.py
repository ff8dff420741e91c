"""Scores of single frames as the benchmark computes them: IoU, and F over a range of thresholds."""

from functools import cache

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from save_avs.types import F64

BETA2 = 0.3  # beta squared: precision weighs more than recall
THRESHOLDS = 255
MIN_MASK_AGREEMENT = 0.99  # mean IoU from which on two runtimes or precisions count as giving the same masks


def frame_counts(probs: Tensor, targets: Tensor, threshold: float = 0.5) -> Tensor:
    """Count the pixels of each frame's mask, ``probs > threshold`` [B,H,W], and of its target, bool [B,H,W].

    Returns int64 [B,4] on the CPU: pixels in both, in the mask, in the target, and in the frame. A ValueError
    if shapes or types are wrong, or a probability is NaN.
    """
    check_frames(probs, targets)
    mask, target = (probs > threshold).flatten(1), targets.flatten(1)
    pixels = torch.full((len(mask),), mask.shape[1], device=mask.device)
    return torch.stack([(mask & target).sum(1), mask.sum(1), target.sum(1), pixels], dim=1).cpu()


def mask_ious(counts: ArrayLike) -> F64:
    """Return the IoU of each frame, f64 [B], from its counts [B,4] (`frame_counts`).

    A frame without a sounding object scores the share of its pixels outside of the mask.

    Source: ``mask_iou`` of AVSBench (arXiv 2207.05042).
    """
    shared, masked, target, pixels = np.asarray(counts, np.float64).T
    outside = (pixels - masked) / (pixels + 1e-7)
    return np.where(target == 0, outside, shared / (masked + target - shared + 1e-7))


def frame_f_curves(probs: Tensor, targets: Tensor) -> Tensor:
    """Return the F-score of each frame at 255 thresholds from 0 to 1, ``probs >= threshold``, beta^2 = 0.3.

    Of probabilities [B,H,W] and targets, bool [B,H,W]: f64 [B,255], on the CPU; a row of NaN for a frame
    without a sounding object, which scores leave out. Values outside 0..1 are allowed: the thresholds stay.
    The 255 comparisons are one histogram of the values per frame, accumulated from the top. A ValueError if
    shapes or types are wrong, or a probability is NaN.

    Source: ``Eval_Fmeasure`` of AVSBench (arXiv 2207.05042).
    """
    check_frames(probs, targets)
    frames, bins = len(probs), THRESHOLDS + 1
    rows = torch.arange(frames, dtype=torch.int32, device=probs.device)[:, None] * bins
    cells = _levels(probs.float().flatten(1)).add_(rows).mul_(2).add_(targets.flatten(1))  # [B,H*W]
    counts = torch.bincount(cells.flatten(), minlength=2 * frames * bins).cpu().double()
    reached = counts.reshape(frames, bins, 2).flip(1).cumsum(1).flip(1)  # pixels at a level or above it
    masked, hits = reached[:, 1:].sum(2), reached[:, 1:, 1]  # [B,255]
    target = reached[:, :1, 1]  # [B,1]
    precision, recall = hits / (masked + 1e-20), hits / (target + 1e-20)
    curves = ((1 + BETA2) * precision * recall / (BETA2 * precision + recall)).nan_to_num(0.0)
    return curves.masked_fill(target == 0, torch.nan)


def check_frames(probs: Tensor, targets: Tensor) -> None:
    """Check that probabilities and targets fit together; a ValueError if not, or if a probability is NaN."""
    if probs.ndim != 3 or not probs.is_floating_point():
        raise ValueError(f"probs must be float [B,H,W], got {probs.dtype} {list(probs.shape)}")
    if targets.shape != probs.shape or targets.dtype != torch.bool:
        raise ValueError(
            f"targets must be bool, of the shape of probs, got {targets.dtype} {list(targets.shape)}"
        )
    if probs.numel() and probs.amax().isnan():  # a maximum passes NaN on
        raise ValueError("probs contain NaN: the model's output is broken")


def _levels(values: Tensor) -> Tensor:
    """Count the thresholds that each value reaches, 0..255: f32 [B,N] to int32 [B,N].

    Up to rounding the thresholds are k / 254, so each value needs to be compared with one of them only: ten
    times as fast as a search.
    """
    # Certainly reached; 0.001 covers rounding.
    below = (values * (THRESHOLDS - 1)).add_(0.999).clamp_(0, THRESHOLDS).int()
    next_one = _thresholds(str(values.device)).index_select(0, below.flatten()).view_as(values)
    return below.add_(values >= next_one)


@cache
def _thresholds(device: str) -> Tensor:
    """Return evenly spaced float32 thresholds, the last 1 - 1e-10 rounded to 1; then NaN, never reached."""
    thresholds = torch.linspace(0, 1 - 1e-10, THRESHOLDS, dtype=torch.float32)
    return torch.cat([thresholds, torch.tensor([torch.nan])]).to(device)


def mask_agreement(logits: Tensor, others: Tensor) -> float:
    """Return the mean IoU over frames of the masks of two logits [N,1,M,M]; two empty masks agree."""
    one, other = logits.flatten(1) > 0, others.flatten(1) > 0
    union = (one | other).sum(1)
    return float(torch.where(union > 0, (one & other).sum(1) / union.clamp(min=1), 1.0).mean())
