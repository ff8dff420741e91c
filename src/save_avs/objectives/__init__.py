"""What is optimised and what is measured: losses (pure functions) and metrics (update, compute, reset)."""

from __future__ import annotations

from save_avs.objectives.frame_scores import frame_f_curves, frame_ious
from save_avs.objectives.losses import SaveLoss, bce_loss, save_loss, soft_iou_loss
from save_avs.objectives.metrics import FrameMetric, FScore, MeanIoU, Protocol

__all__ = [
    "FScore",
    "FrameMetric",
    "MeanIoU",
    "Protocol",
    "SaveLoss",
    "bce_loss",
    "frame_f_curves",
    "frame_ious",
    "save_loss",
    "soft_iou_loss",
]
