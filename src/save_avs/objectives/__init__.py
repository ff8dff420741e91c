"""What is optimised and what is measured: losses (pure functions) and metrics (update, compute, reset)."""

from __future__ import annotations

from save_avs.objectives.frame_scores import frame_counts, frame_f_curves, ious
from save_avs.objectives.losses import UNLABELLED, SaveLoss, bce_loss, class_loss, save_loss, soft_iou_loss
from save_avs.objectives.metrics import ClipTable, FrameTable, MaskMetric, best_f, score_clips
from save_avs.objectives.protocols import PROTOCOLS, Protocol, View, choose_protocols
from save_avs.objectives.semantic import LabelMetric, LabelTable, class_scores, score_labels

__all__ = [
    "PROTOCOLS",
    "UNLABELLED",
    "ClipTable",
    "FrameTable",
    "LabelMetric",
    "LabelTable",
    "MaskMetric",
    "Protocol",
    "SaveLoss",
    "View",
    "bce_loss",
    "best_f",
    "choose_protocols",
    "class_loss",
    "class_scores",
    "frame_counts",
    "frame_f_curves",
    "ious",
    "save_loss",
    "score_clips",
    "score_labels",
    "soft_iou_loss",
]
