"""Where the answers to batches of frames are scored, in every way that some protocol asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from save_avs.evaluation.frames import FrameBatch
from save_avs.evaluation.resize import Shape, logits_at, shape_of, truth_at
from save_avs.metrics.mask_metrics import MaskMetric
from save_avs.metrics.protocols import BENCHMARK_SIZE, FrameScoring
from save_avs.metrics.semantic import SemanticMetric
from save_avs.models.save import Resize
from save_avs.types import U8

_LABEL_FRAMES = 4  # class logits enlarged at once: 71 x 224 x 224 floats a frame


class ScoreAccumulator:
    """A metric for each view, and one for labels.

    Args:
        views: how frames are looked at; each once.
        image_size: side of the model's square.
        resize: how frames became it.
        classes: number of labels; 0 without.

    Attributes:
        metrics: for each view.
        labels: the metric of label maps, or None.
        label_sets: the labels other than background that each clip's scored frames show.
    """

    def __init__(
        self, views: Iterable[FrameScoring], *, image_size: int, resize: Resize, classes: int = 0
    ) -> None:
        self.metrics = {scoring: MaskMetric(scoring) for scoring in views}
        self.labels = SemanticMetric(classes) if classes else None
        self.label_sets: dict[int, set[int]] = defaultdict(set)
        self._image_size = image_size
        self._resize: Resize = resize

    def add(self, batch: FrameBatch, logits: Tensor, classes: Tensor | None) -> None:
        """Score a batch: logits [B,M,M], class logits [B,K,M,M] or None."""
        for frame, rows in _by_shape(batch).items():
            self._add_masks(batch, logits, frame, rows)
            labels = [(k, found) for k in rows if (found := batch.labels[k]) is not None]
            for k, found in labels:
                self.label_sets[batch.clips[k]].update(set(np.unique(found).tolist()) - {0})
            if classes is not None and self.labels is not None:
                for i in range(0, len(labels), _LABEL_FRAMES):
                    self._add_labels(self.labels, batch, classes, frame, labels[i : i + _LABEL_FRAMES])

    def _add_masks(self, batch: FrameBatch, logits: Tensor, frame: Shape, rows: list[int]) -> None:
        truth = torch.from_numpy(np.stack([batch.truths[k] for k in rows])).to(logits.device)
        where = {"clips": [batch.clips[k] for k in rows], "positions": [batch.positions[k] for k in rows]}
        shapes = {scoring: shape_of(scoring, frame, self._image_size) for scoring in self.metrics}
        for shape in dict.fromkeys(shapes.values()):
            resized = logits_at(logits[rows, None], shape, frame=frame, resize=self._resize)[:, 0]
            compared = truth_at(truth, shape)
            for scoring, metric in self.metrics.items():
                if shapes[scoring] == shape:
                    metric.update(resized, compared, **where)

    def _add_labels(
        self,
        metric: SemanticMetric,
        batch: FrameBatch,
        classes: Tensor,
        frame: Shape,
        labels: list[tuple[int, U8]],
    ) -> None:
        rows, side = [k for k, _ in labels], (BENCHMARK_SIZE, BENCHMARK_SIZE)
        found = logits_at(classes[rows], side, frame=frame, resize=self._resize).argmax(dim=1)
        truth = torch.from_numpy(np.stack([truth for _, truth in labels])).to(classes.device)
        metric.update(found, truth_at(truth, side), [batch.clips[k] for k in rows])


def _by_shape(batch: FrameBatch) -> dict[Shape, list[int]]:
    """Rows of a batch by the size of their frames."""
    rows: dict[Shape, list[int]] = defaultdict(list)
    for k, truth in enumerate(batch.truths):
        rows[truth.shape[0], truth.shape[1]].append(k)
    return rows
