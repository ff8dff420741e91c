"""Scores of label maps over a data set, as AVSBench-semantic (AVSS) has them: which class sounds where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from save_avs.metrics.frame_scores import BETA2
from save_avs.metrics.mask_metrics import METRIC_NAMES, MetricName, clip_draw_counts
from save_avs.types import F64, I64, Bool

ClassSubset = Literal["official", "official-no-background", "no-background"]

CLASS_SUBSETS: dict[ClassSubset, str] = {
    "official": "the benchmark's public code: the mean over all classes, the background among them",
    "official-no-background": "the public code's 'no background', which leaves out the last class instead",
    "no-background": "the mean over all classes but the background",
}


@dataclass(frozen=True)
class SemanticTable:
    """Sums over the frames of each clip, clips in the data set's order.

    Attributes:
        clips: each clip's place in the data set, [C].
        iou: sum of the IoUs of each class, [C,K].
        f: sum of its F-scores, [C,K].
        frames: frames in which the class is predicted or true, [C,K].
    """

    clips: I64
    iou: F64
    f: F64
    frames: F64

    def __len__(self) -> int:
        return len(self.clips)

    def join(self, other: SemanticTable) -> SemanticTable:
        """The clips of both, one after the other."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return SemanticTable(*(np.concatenate(pair) for pair in pairs))


class SemanticMetric:
    """Collects frames of label maps, a few sums of each.

    Args:
        classes: number of labels, the background, 0, among them.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.reset()

    def reset(self) -> None:
        """Forget every frame."""
        self._clips: list[Tensor] = []
        self._counts: list[Tensor] = []

    def update(self, found: Tensor, truth: Tensor, clips: Sequence[int] | Tensor) -> None:
        """Add annotated frames; they need not come clip by clip.

        Args:
            found: labels, int [B,H,W].
            truth: labels, int [B,H,W].
            clips: for each frame, its clip's place in the data set.

        Raises:
            ValueError: when shapes do not hold, or a label is not one of the classes.
        """
        where = torch.as_tensor(clips, dtype=torch.int64).cpu()
        if found.ndim != 3 or found.shape != truth.shape or where.shape != found.shape[:1]:
            shapes = f"{list(found.shape)}, {list(truth.shape)} and {list(where.shape)}"
            raise ValueError(f"found and truth must be [B,H,W], clips [B], not {shapes}")
        if not len(found):
            return
        for labels in (found, truth):
            if labels.min() < 0 or labels.max() >= self.classes:
                raise ValueError(f"labels must be 0 to {self.classes - 1}, got {int(labels.max())}")
        counted = [_count(labels, self.classes) for labels in (found, truth)]
        shared = torch.where(found == truth, found.long(), self.classes)  # one label more: they differ
        self._counts.append(torch.stack([_count(shared, self.classes), *counted], dim=1))
        self._clips.append(where)

    def merge(self, other: Self) -> None:
        """Add the frames of another instance, of another process for example."""
        self._clips += other._clips
        self._counts += other._counts

    def table(self) -> SemanticTable:
        """Sums over the frames of each clip so far."""
        if not self._clips:
            nothing = np.zeros((0, self.classes))
            return SemanticTable(np.zeros(0, np.int64), nothing, nothing, nothing)
        clips, rows = np.unique(torch.cat(self._clips).numpy(), return_inverse=True)
        parts = _frame_scores(torch.cat(self._counts).numpy().astype(np.float64))
        sums = [np.zeros((len(clips), self.classes)) for _ in parts]
        for total, values in zip(sums, parts, strict=True):
            np.add.at(total, rows, values)
        return SemanticTable(clips, *sums)

    def compute(self, variant: ClassSubset = "official") -> dict[MetricName, float]:
        """Mean IoU and F over the classes; NaN when there is no frame."""
        table = self.table()
        return {measure: float(score_semantic(table, measure, variant)) for measure in METRIC_NAMES}


def score_semantic(
    table: SemanticTable, measure: MetricName, variant: ClassSubset = "official", draws: I64 | None = None
) -> F64:
    """Score clips: the mean over classes of each class's mean over the frames in which it occurs.

    A class that occurs in no frame counts as 0, as in the public code: the mean is over all classes, whether
    the split has them or not.

    Args:
        table: sums of each clip.
        measure: ``miou`` or ``f``, the F-score with beta^2 = 0.3.
        variant: which classes count.
        draws: rows of the table to score, [R,C], as for `score_clips`. All, once, by default.

    Returns:
        One score a row, f64 [R]; f64 [] without draws. NaN without a clip.

    Source: ``_batch_miou_fscore`` and the test script of AVSBench-semantic (arXiv 2301.13190).
    """
    if draws is None:
        return score_semantic(table, measure, variant, np.arange(len(table))[None])[0]
    if len(table) == 0:
        return np.full(len(draws), np.nan)
    weights = clip_draw_counts(draws, len(table))
    counted = _counted(table.frames.shape[1], variant)
    sums, frames = weights @ (table.iou if measure == "miou" else table.f), weights @ table.frames
    return (sums / np.maximum(frames, 1))[:, counted].mean(axis=1)


def class_scores(table: SemanticTable, measure: MetricName) -> F64:
    """Score of each class over the frames in which it occurs, [K]; NaN for one that occurs in none."""
    sums = (table.iou if measure == "miou" else table.f).sum(axis=0)
    frames = table.frames.sum(axis=0)
    return np.where(frames > 0, sums / np.maximum(frames, 1), np.nan)


def _counted(classes: int, variant: ClassSubset) -> Bool:
    keep = np.ones(classes, dtype=np.bool_)
    if variant != "official":
        keep[-1 if variant == "official-no-background" else 0] = False
    return keep


def _count(labels: Tensor, classes: int) -> Tensor:
    """Pixels of each label in each frame, int64 [B,classes] on the CPU; labels [B,H,W] up to ``classes``."""
    rows = torch.arange(len(labels), device=labels.device)[:, None] * (classes + 1)
    cells = labels.flatten(1).long() + rows
    counts = torch.bincount(cells.flatten(), minlength=len(labels) * (classes + 1))
    return counts.reshape(len(labels), classes + 1)[:, :classes].cpu()


def _frame_scores(counts: F64) -> tuple[F64, F64, F64]:
    """IoU, F and whether the class occurs, each [N,K], from pixels shared, found and true, [N,3,K]."""
    shared, found, true = counts.transpose(1, 0, 2)
    union = found + true - shared
    iou = shared / np.maximum(union, 1)
    # (1 + b) P R / (b P + R) with P = shared / found and R = shared / true, without their zeros below
    f = (1 + BETA2) * shared / np.maximum(found + BETA2 * true, 1)
    return iou, f, (union > 0).astype(np.float64)
