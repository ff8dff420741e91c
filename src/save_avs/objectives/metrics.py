"""The benchmark's metrics over a data set: update with frames, merge across processes, compute.

Two protocols, from the same frames:

* ``dataset``: every frame counts once; F has one curve over all frames, whose maximum is the score.
* ``official``: as the public AVSBench code does it, each batch of clips is scored by itself (its own mean
  IoU, its own maximum of F; 0 for F when nothing sounds in the whole batch), then batches are averaged. The
  score depends on the batch size in clips, which belongs beside the figure: 1 is that code's default, its
  test script uses 4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from save_avs.objectives.frame_scores import frame_f_curves, frame_ious
from save_avs.types import F64

Protocol = Literal["dataset", "official"]


class FrameMetric(ABC):
    """One row of numbers a frame, and the clip it is from; a score is made from rows.

    State is plain CPU tensors: an instance can be pickled and sent to another process to be merged there.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget every frame."""
        self._rows: list[Tensor] = []
        self._clips: list[Tensor] = []

    def update(self, probs: Tensor, targets: Tensor, clips: Sequence[int] | Tensor | None = None) -> None:
        """Add annotated frames; they need not come clip by clip.

        Args:
            probs: f32 [B,H,W], after the sigmoid.
            targets: bool [B,H,W].
            clips: for each frame, its clip's place in the data set; only ``official`` needs it.

        Raises:
            ValueError: when shapes or types do not hold, or a probability is NaN.
        """
        where = torch.as_tensor([-1] * len(probs) if clips is None else clips, dtype=torch.int64).cpu()
        if where.shape != probs.shape[:1]:
            raise ValueError(f"clips must have one entry a frame, got {list(where.shape)} for {len(probs)}")
        self._rows.append(self._score(probs, targets))
        self._clips.append(where)

    def merge(self, other: Self) -> None:
        """Add the frames of another instance, of another process for example."""
        self._rows += other._rows
        self._clips += other._clips

    def compute(self, protocol: Protocol = "dataset", clips_per_batch: int = 1) -> float:
        """Score all frames so far; NaN when there is none to score.

        Args:
            protocol: see the module.
            clips_per_batch: batch size of ``official``.

        Raises:
            ValueError: when ``official`` is asked for frames whose clips were not given.
        """
        rows, clips = self.values(), self.clips()
        if protocol == "dataset":
            return self._reduce(rows)
        if np.any(clips < 0):
            raise ValueError("protocol 'official' needs the clip of every frame: pass clips to update")
        batches = clips // clips_per_batch
        scores = [np.nan_to_num(self._reduce(rows[batches == b])) for b in np.unique(batches)]
        return float(np.mean(scores)) if scores else float("nan")

    def values(self) -> F64:
        """Rows of all frames, in the order they were added, f64 [N, ...]."""
        return torch.cat(self._rows).numpy() if self._rows else np.zeros(0)

    def clips(self) -> NDArray[np.int64]:
        """The clip of each frame, -1 where it was not given, [N]."""
        return torch.cat(self._clips).numpy() if self._clips else np.zeros(0, dtype=np.int64)

    @abstractmethod
    def _score(self, probs: Tensor, targets: Tensor) -> Tensor:
        """One row a frame, f64 [B, ...]."""

    @abstractmethod
    def _reduce(self, rows: F64) -> float:
        """The score of some frames; NaN when none counts."""


class MeanIoU(FrameMetric):
    """Mean over frames of the IoU (the paper's M_J); ``values()`` are the frames' IoUs, [N].

    Source: AVSBench (arXiv 2207.05042); see `frame_ious`.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        self.threshold = threshold

    def _score(self, probs: Tensor, targets: Tensor) -> Tensor:
        return frame_ious(probs, targets, self.threshold)

    def _reduce(self, rows: F64) -> float:
        return float(rows.mean()) if len(rows) else float("nan")


class FScore(FrameMetric):
    """Maximum over thresholds of the mean F curve (M_F); ``values()`` are the frames' curves, [N,255].

    Frames in which nothing sounds have a curve of NaN and do not count.

    Source: AVSBench (arXiv 2207.05042); see `frame_f_curves`.
    """

    def _score(self, probs: Tensor, targets: Tensor) -> Tensor:
        return frame_f_curves(probs, targets)

    def _reduce(self, rows: F64) -> float:
        counted = rows[~np.isnan(rows).reshape(len(rows), -1).any(axis=1)] if len(rows) else rows
        return float(counted.mean(axis=0).max()) if len(counted) else float("nan")
