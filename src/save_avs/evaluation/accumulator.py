"""Scores accumulated over batches of frames, at every size and threshold that some protocol needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from save_avs.evaluation.forward import FrameBatch
from save_avs.metrics.mask_metrics import MaskMetric
from save_avs.metrics.protocols import BENCHMARK_SIZE, FrameScoring
from save_avs.metrics.semantic_scores import SemanticMetric
from save_avs.models.preprocess import postprocess_logits
from save_avs.models.save import Resize
from save_avs.types import U8

_LABEL_FRAMES = 4  # class logits upscaled at once: 71 x 224 x 224 floats per frame

Shape = tuple[int, int]


class ScoreAccumulator:
    """One metric per way of scoring frames, and one metric of label maps where there are ``classes``.

    Attributes:
        metrics: by way of scoring.
        semantic: the metric of label maps, or None.
        label_sets: the labels other than background in each clip's scored frames, by clip index.
    """

    def __init__(
        self, scorings: Iterable[FrameScoring], *, image_size: int, resize: Resize, classes: int = 0
    ) -> None:
        self.metrics = {scoring: MaskMetric(scoring) for scoring in scorings}
        self.semantic = SemanticMetric(classes) if classes else None
        self.label_sets: dict[int, set[int]] = defaultdict(set)
        self._image_size = image_size
        self._resize: Resize = resize

    def add(self, batch: FrameBatch, logits: Tensor, classes: Tensor | None) -> None:
        """Score a batch: mask logits [B,M,M], class logits [B,K,M,M] or None."""
        for frame_shape, rows in _rows_by_shape(batch).items():
            self._add_masks(batch, logits, frame_shape, rows)
            labels = [(k, found) for k in rows if (found := batch.labels[k]) is not None]
            for k, found in labels:
                self.label_sets[batch.clips[k]].update(set(np.unique(found).tolist()) - {0})
            if classes is not None and self.semantic is not None:
                for i in range(0, len(labels), _LABEL_FRAMES):
                    self._add_labels(
                        self.semantic, batch, classes, frame_shape, labels[i : i + _LABEL_FRAMES]
                    )

    def _add_masks(self, batch: FrameBatch, logits: Tensor, frame_shape: Shape, rows: list[int]) -> None:
        target = torch.from_numpy(np.stack([batch.targets[k] for k in rows])).to(logits.device)
        where = {"clips": [batch.clips[k] for k in rows], "positions": [batch.positions[k] for k in rows]}
        shapes = {s: _comparison_shape(s, frame_shape, self._image_size) for s in self.metrics}
        for shape in dict.fromkeys(shapes.values()):
            resized = _resize_logits(logits[rows, None], shape, frame=frame_shape, resize=self._resize)[:, 0]
            compared = _resize_target(target, shape)
            for scoring, metric in self.metrics.items():
                if shapes[scoring] == shape:
                    metric.update(resized, compared, **where)

    def _add_labels(
        self,
        metric: SemanticMetric,
        batch: FrameBatch,
        classes: Tensor,
        frame_shape: Shape,
        labels: list[tuple[int, U8]],
    ) -> None:
        rows, shape = [k for k, _ in labels], (BENCHMARK_SIZE, BENCHMARK_SIZE)
        pred = _resize_logits(classes[rows], shape, frame=frame_shape, resize=self._resize).argmax(dim=1)
        target = torch.from_numpy(np.stack([found for _, found in labels])).to(classes.device)
        metric.update(pred, _resize_target(target, shape), [batch.clips[k] for k in rows])


def _rows_by_shape(batch: FrameBatch) -> dict[Shape, list[int]]:
    """Rows of a batch by the size of their frames."""
    rows: dict[Shape, list[int]] = defaultdict(list)
    for k, target in enumerate(batch.targets):
        rows[target.shape[0], target.shape[1]].append(k)
    return rows


def _comparison_shape(scoring: FrameScoring, target: Shape, image_size: int) -> Shape:
    """(height, width) at which frames are compared whose target has the size ``target``."""
    if scoring.size == "target":
        return target
    side = image_size if scoring.size == "network" else scoring.size
    return side, side


def _resize_logits(logits: Tensor, shape: Shape, *, frame: Shape, resize: Resize) -> Tensor:
    """Resize logits [B,K,M,M] of frames of one size, ``frame``, bilinearly to [B,K,*shape].

    The padding of a padded square is cut away first.
    """
    if resize == "pad":
        rows = [torch.stack([postprocess_logits(k, *frame, resize) for k in one]) for one in logits]
        logits = torch.stack(rows)
    if logits.shape[-2:] == shape:
        return logits
    return F.interpolate(logits.float(), shape, mode="bilinear", align_corners=False)


def _resize_target(target: Tensor, shape: Shape) -> Tensor:
    """Resize bool or integer maps [B,H,W] by nearest neighbor, with Pillow's alignment of pixel centers."""
    if target.shape[-2:] == shape:
        return target
    small = F.interpolate(target[:, None].to(torch.uint8), shape, mode="nearest-exact")
    return small[:, 0].to(target.dtype)
