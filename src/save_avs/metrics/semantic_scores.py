"""Semantic scores of label maps over a data set, as in AVSBench-semantic (AVSS): which class sounds where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from save_avs.metrics.frame_scores import BETA2
from save_avs.metrics.mask_metrics import METRIC_NAMES, MetricName, ScoreTable, clip_draw_counts, sum_by_clip
from save_avs.types import F64, I64

ClassSubset = Literal["official", "official-no-background", "no-background"]

CLASS_SUBSETS: dict[ClassSubset, str] = {
    "official": "the benchmark's public code: the mean over all classes, including the background",
    "official-no-background": "the public code's 'no background', which leaves out the last class instead",
    "no-background": "the mean over all classes but the background",
}


@dataclass(frozen=True)
class SemanticTable(ScoreTable):
    """Sums over the frames of each of C clips, in the data set's order, for K classes."""

    iou: F64  # sum of the IoUs of each class, [C,K]
    f: F64  # sum of its F-scores, [C,K]
    frames: F64  # frames in which the class is predicted or in the target, [C,K]


class SemanticMetric:
    """Collects frames of label maps of so many ``classes``, background included: a few sums of each."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        none = np.zeros((0, classes))
        self._frames = [SemanticTable(np.zeros(0, np.int64), none, none, none)]  # a row per frame

    def update(self, pred: Tensor, target: Tensor, clips: Sequence[int] | Tensor) -> None:
        """Add annotated frames; they need not come clip by clip.

        ``pred`` and ``target`` are labels, int [B,H,W]; ``clips`` is each frame's clip, by index in the data
        set. A ValueError if shapes are wrong, or a label is not one of the classes.
        """
        indices = torch.as_tensor(clips, dtype=torch.int64).cpu()
        if pred.ndim != 3 or pred.shape != target.shape or indices.shape != pred.shape[:1]:
            shapes = f"{list(pred.shape)}, {list(target.shape)} and {list(indices.shape)}"
            raise ValueError(f"pred and target must be [B,H,W], clips [B], not {shapes}")
        if not len(pred):
            return
        for labels in (pred, target):
            if labels.min() < 0 or labels.max() >= self.classes:
                raise ValueError(f"labels must be 0 to {self.classes - 1}, got {int(labels.max())}")
        shared = torch.where(pred == target, pred.long(), self.classes)  # an extra label where they differ
        counts = (_count(labels, self.classes) for labels in (shared, pred, target))
        self._frames.append(SemanticTable(indices.numpy(), *_frame_scores(*counts)))

    def table(self) -> SemanticTable:
        """Return the sums over the frames of each clip so far."""
        frames = self._frames[0].join(*self._frames[1:])
        clips, sums = sum_by_clip(frames.clips, frames.iou, frames.f, frames.frames)
        return SemanticTable(clips, *sums)

    def compute(self, subset: ClassSubset = "official") -> dict[MetricName, float]:
        """Return the mean IoU and F over the classes; NaN without a frame."""
        table = self.table()
        return {metric: float(score_semantic(table, metric, subset)) for metric in METRIC_NAMES}


def score_semantic(
    table: SemanticTable, metric: MetricName, subset: ClassSubset = "official", draws: I64 | None = None
) -> F64:
    """Score clips: the mean over classes of each class's mean over the frames in which it occurs.

    A class that occurs in no frame counts as 0, as in the public code: the mean is over all classes of the
    ``subset``, whether the split has them or not. The metric is ``miou`` or ``f``, the F-score with beta^2 =
    0.3. ``draws`` and the result are as `score_clips` has them; NaN without a clip.

    Source: ``_batch_miou_fscore`` and the test script of AVSBench-semantic (arXiv 2301.13190).
    """
    if draws is None:
        return score_semantic(table, metric, subset, np.arange(len(table))[None])[0]
    if len(table) == 0:
        return np.full(len(draws), np.nan)
    counts = clip_draw_counts(draws, len(table))
    counted = np.ones(table.frames.shape[1], dtype=np.bool_)
    if subset != "official":
        counted[-1 if subset == "official-no-background" else 0] = False
    sums, frames = counts @ (table.iou if metric == "miou" else table.f), counts @ table.frames
    return (sums / np.maximum(frames, 1))[:, counted].mean(axis=1)


def class_scores(table: SemanticTable, metric: MetricName) -> F64:
    """Return each class's mean over the frames in which it occurs, [K]; NaN for one that occurs in none."""
    sums = (table.iou if metric == "miou" else table.f).sum(axis=0)
    frames = table.frames.sum(axis=0)
    return np.where(frames > 0, sums / np.maximum(frames, 1), np.nan)


def _count(labels: Tensor, classes: int) -> F64:
    """Count pixels of each label in each frame, [B,classes]; labels [B,H,W]."""
    rows = torch.arange(len(labels), device=labels.device)[:, None] * (classes + 1)
    cells = labels.flatten(1).long() + rows
    counts = torch.bincount(cells.flatten(), minlength=len(labels) * (classes + 1))
    return counts.reshape(len(labels), classes + 1)[:, :classes].cpu().double().numpy()


def _frame_scores(shared: F64, pred: F64, target: F64) -> tuple[F64, F64, F64]:
    """Return IoU, F and whether the class occurs, each [N,K], of the counts of pixels."""
    union = pred + target - shared
    iou = shared / np.maximum(union, 1)
    # (1 + b) P R / (b P + R) with P = shared / pred and R = shared / target, without zeros in denominators
    f = (1 + BETA2) * shared / np.maximum(pred + BETA2 * target, 1)
    return iou, f, (union > 0).astype(np.float64)
