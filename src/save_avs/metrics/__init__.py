"""What is optimized and what is measured: losses (pure functions) and metrics (update, compute, reset)."""

from __future__ import annotations

from save_avs.losses import UNLABELED, SaveLoss, bce_loss, class_loss, save_loss, soft_iou_loss
from save_avs.metrics.frame_scores import frame_counts, frame_f_curves, mask_ious
from save_avs.metrics.mask_metrics import ClipTable, FrameTable, MaskMetric, best_f_score, score_clips
from save_avs.metrics.protocols import PROTOCOLS, FrameScoring, ScoringProtocol, get_protocols
from save_avs.metrics.semantic import SemanticMetric, SemanticTable, class_scores, score_semantic

__all__ = [
    "PROTOCOLS",
    "UNLABELED",
    "ClipTable",
    "FrameScoring",
    "FrameTable",
    "MaskMetric",
    "SaveLoss",
    "ScoringProtocol",
    "SemanticMetric",
    "SemanticTable",
    "bce_loss",
    "best_f_score",
    "class_loss",
    "class_scores",
    "frame_counts",
    "frame_f_curves",
    "get_protocols",
    "mask_ious",
    "save_loss",
    "score_clips",
    "score_semantic",
    "soft_iou_loss",
]
