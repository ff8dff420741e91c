"""Scores accumulated over batches of frames, at every size and threshold that some protocol needs."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice

import numpy as np
import torch

from save_avs.evaluation.forward import FrameBatch, Shape, comparison_shape, resize_target
from save_avs.evaluation.predictions import FrameOutputs
from save_avs.metrics.mask_metrics import MaskMetric
from save_avs.metrics.protocols import BENCHMARK_SIZE, FrameScoring
from save_avs.metrics.semantic_scores import SemanticMetric
from save_avs.types import U8

_LABEL_FRAMES = 4  # class logits upscaled at once: 71 x 224 x 224 floats per frame


class ScoreAccumulator:
    """One metric per way of scoring frames, and one metric of label maps where there are ``classes``."""

    def __init__(self, scorings: Iterable[FrameScoring], *, image_size: int, classes: int = 0) -> None:
        self.metrics = {scoring: MaskMetric(scoring) for scoring in scorings}
        self.semantic = SemanticMetric(classes) if classes else None
        # labels other than background in each clip's scored frames, by clip index
        self.label_sets: dict[int, set[int]] = defaultdict(set)
        self._image_size = image_size

    def add(self, batch: FrameBatch, outputs: FrameOutputs) -> None:
        """Score the predictions for a batch."""
        rows: dict[Shape, list[int]] = defaultdict(list)  # by the size of their frames
        for k, target in enumerate(batch.targets):
            rows[target.shape[0], target.shape[1]].append(k)
            if (labels := batch.labels[k]) is not None:
                self.label_sets[batch.clips[k]].update(set(np.unique(labels).tolist()) - {0})
        for frame_shape, same in rows.items():
            self._add_masks(batch, outputs, frame_shape, same)
            labeled = {k: labels for k in same if (labels := batch.labels[k]) is not None}
            for i in range(0, len(labeled), _LABEL_FRAMES):
                some = dict(islice(labeled.items(), i, i + _LABEL_FRAMES))
                self._add_labels(batch, outputs, frame_shape, some)

    def add_padding(self, clip: int, frames: int) -> int:
        """Score frames of padding, whose label maps are background, both predicted and true; their number."""
        if self.semantic is not None and frames:
            background = torch.zeros(frames, 1, 1, dtype=torch.uint8)
            self.semantic.update(background, background, [clip] * frames)
        return frames

    def _add_masks(
        self, batch: FrameBatch, outputs: FrameOutputs, frame_shape: Shape, rows: list[int]
    ) -> None:
        target = torch.from_numpy(np.stack([batch.targets[k] for k in rows]))
        where = {"clips": [batch.clips[k] for k in rows], "positions": [batch.positions[k] for k in rows]}
        shapes = {s: comparison_shape(s, frame_shape, self._image_size) for s in self.metrics}
        for shape in dict.fromkeys(shapes.values()):
            masks, are_probabilities = outputs.masks_at(rows, shape, frame_shape)
            compared = resize_target(target.to(masks.device), shape)
            for scoring, metric in self.metrics.items():
                if shapes[scoring] == shape:
                    metric.update(masks, compared, **where, are_probabilities=are_probabilities)

    def _add_labels(
        self, batch: FrameBatch, outputs: FrameOutputs, frame_shape: Shape, labels: dict[int, U8]
    ) -> None:
        pred = outputs.labels_at_benchmark_size(list(labels), frame_shape)
        if self.semantic is None or pred is None:
            return
        target = torch.from_numpy(np.stack(list(labels.values()))).to(pred.device)
        target = resize_target(target, (BENCHMARK_SIZE, BENCHMARK_SIZE))
        self.semantic.update(pred, target, [batch.clips[k] for k in labels])
