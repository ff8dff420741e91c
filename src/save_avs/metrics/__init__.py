"""Metrics: mask IoU and F-score of frames and clips, scoring protocols, semantic scores."""

from __future__ import annotations

from save_avs.metrics.frame_scores import frame_counts, frame_f_curves, mask_ious
from save_avs.metrics.mask_metrics import ClipTable, FrameTable, MaskMetric, best_f_score, score_clips
from save_avs.metrics.protocols import PROTOCOLS, FrameScoring, ScoringProtocol, get_protocols
from save_avs.metrics.semantic_scores import SemanticMetric, SemanticTable, class_scores, score_semantic

__all__ = [
    "PROTOCOLS",
    "ClipTable",
    "FrameScoring",
    "FrameTable",
    "MaskMetric",
    "ScoringProtocol",
    "SemanticMetric",
    "SemanticTable",
    "best_f_score",
    "class_scores",
    "frame_counts",
    "frame_f_curves",
    "get_protocols",
    "mask_ious",
    "score_clips",
    "score_semantic",
]
