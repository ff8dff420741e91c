"""Mask metrics over a data set: update with frames, compute under a protocol.

A frame is reduced to a few counts and its F curve when it is added. Sums of these over a clip's frames
(`ClipTable`) are all that any protocol needs, so clips can be resampled, left out or swapped without the
model: `score_clips` takes the clips to count, and is what intervals and tests are made of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from save_avs.metrics.frame_scores import BETA2, THRESHOLDS, frame_counts, frame_f_curves, mask_ious
from save_avs.metrics.protocols import FrameScoring, ScoringProtocol
from save_avs.types import F64, I64, Bool

MetricName = Literal["miou", "f"]
METRIC_NAMES: tuple[MetricName, ...] = ("miou", "f")
NO_CLIP = -1  # fills up rows of draws to the length of the longest


@dataclass(frozen=True)
class ScoreTable:
    """Rows as parallel arrays; ``clips`` holds each row's clip, by its index in the data set."""

    clips: I64

    def __len__(self) -> int:
        return len(self.clips)

    def take(self, rows: I64 | Bool) -> Self:
        """Return some of the rows."""
        return type(self)(**{name: values[rows] for name, values in vars(self).items()})

    def join(self, *others: Self) -> Self:
        """Return the rows of all, one after the other."""
        columns = zip(*(vars(table).values() for table in (self, *others)), strict=True)
        return type(self)(*map(np.concatenate, columns))


def sum_by_clip(clips: I64, *columns: NDArray) -> tuple[I64, list[F64]]:
    """Return the distinct clips in ascending order, and the sums of each column over their rows."""
    distinct, rows = np.unique(clips, return_inverse=True)
    sums = [np.zeros((len(distinct), *values.shape[1:])) for values in columns]
    for total, values in zip(sums, columns, strict=True):
        np.add.at(total, rows, values)
    return distinct, sums


@dataclass(frozen=True)
class ClipTable(ScoreTable):
    """Sums over the frames of each of C clips, in the data set's order."""

    frames: F64  # frames scored, [C]
    iou: F64  # sum of their IoUs, [C]
    sounding: F64  # frames with a sounding object, [C]
    curve: F64  # sum of these frames' F curves, [C,255]
    pixels: F64  # true positives, false positives, false negatives and true negatives, [C,4]


@dataclass(frozen=True)
class FrameTable(ScoreTable):
    """Scores of N single frames."""

    positions: I64  # index of the frame in its clip, [N]
    counts: I64  # pixels in both, in the mask, in the target, in the frame, [N,4]
    curves: F64  # F at 255 thresholds, [N,255]; NaN without a sounding object

    @property
    def sounding(self) -> Bool:
        """Frames with a sounding object, [N]."""
        return self.counts[:, 2] > 0

    def by_clip(self) -> ClipTable:
        """Return the sums over each clip's frames, whatever the order of the frames."""
        shared, masked, target, pixels = self.counts.T
        kinds = np.stack(
            [shared, masked - shared, target - shared, pixels - masked - target + shared], axis=1
        )
        curves = np.nan_to_num(self.curves)
        columns = (np.ones(len(self)), mask_ious(self.counts), self.sounding, curves, kinds)
        clips, sums = sum_by_clip(self.clips, *columns)
        return ClipTable(clips, *sums)


class MaskMetric:
    """Collects frames under one frame scoring; frames must be resized already."""

    def __init__(self, scoring: FrameScoring | None = None) -> None:
        self.scoring = scoring or FrameScoring()
        none = np.zeros(0, np.int64)
        self._tables = [FrameTable(none, none, np.zeros((0, 4), np.int64), np.zeros((0, THRESHOLDS)))]

    def update(
        self,
        logits: Tensor,
        targets: Tensor,
        clips: Sequence[int] | Tensor,
        positions: Sequence[int] | Tensor | None = None,
        *,
        are_probabilities: bool = False,
    ) -> None:
        """Add annotated frames; they need not come clip by clip.

        ``logits``, before the sigmoid, are float [B,H,W] at the size of the targets, bool [B,H,W], or are
        probabilities in 0..1. ``clips`` is each frame's clip, by index in the data set, and ``positions``, by
        default 0, that of the frame in its clip. A ValueError if shapes or types are wrong, or a logit is
        NaN.
        """
        given = (clips, [0] * len(logits) if positions is None else positions)
        indices = [torch.as_tensor(values, dtype=torch.int64).cpu() for values in given]
        if any(values.shape != logits.shape[:1] for values in indices):
            raise ValueError(f"clips and positions must have one entry per frame, of {len(logits)}")
        values = logits.float()
        probs = values if are_probabilities else values.sigmoid()
        given = values.logit() if are_probabilities and self.scoring.f_from_logits else values
        counts = frame_counts(probs, targets, self.scoring.threshold)
        curves = frame_f_curves(given if self.scoring.f_from_logits else probs, targets)
        self._tables.append(FrameTable(*(column.numpy() for column in (*indices, counts, curves))))

    def table(self) -> FrameTable:
        """Return all frames so far, in the order they were added."""
        return self._tables[0].join(*self._tables[1:])

    def compute(self, protocol: ScoringProtocol) -> dict[MetricName, float]:
        """Return the mean IoU and F of all frames so far; NaN without a frame to score.

        A ValueError if the protocol scores frames in another way than this metric.
        """
        wanted, own = protocol.scoring, self.scoring
        if (wanted.threshold, wanted.f_from_logits) != (own.threshold, own.f_from_logits):
            raise ValueError(f"protocol '{protocol.name}' needs another frame scoring: {wanted}")
        table = self.table().by_clip()
        return {metric: float(score_clips(table, protocol, metric)) for metric in METRIC_NAMES}


def score_clips(
    table: ClipTable, protocol: ScoringProtocol, metric: MetricName, draws: I64 | None = None
) -> F64:
    """Score the clips of a table under a protocol: their ``miou`` (the paper's M_J) or ``f`` (M_F).

    A row of ``draws``, [R,C], is one data set: rows of the table, in order; a shorter one is filled up with
    `NO_CLIP` at its end. Returns one score per row, f64 [R]; without draws that of all clips, f64 []. NaN
    when no frame counts.

    Source: AVSBench (arXiv 2207.05042) and, for pooled scores, CAVP (arXiv 2304.02970), as in their public
    code.
    """
    if draws is None:
        return score_clips(table, protocol, metric, np.arange(len(table))[None])[0]
    if len(table) == 0:
        return np.full(len(draws), np.nan)
    if protocol.pooled:
        return _pooled(table.pixels, metric, draws)
    # what is averaged, [C,1] or [C,255], and over how many frames, [C]
    sums, frames = (table.iou[:, None], table.frames) if metric == "miou" else (table.curve, table.sounding)
    if protocol.clips_per_batch is None:
        counts = clip_draw_counts(draws, len(table))
        with np.errstate(invalid="ignore"):  # no frame counts: 0 / 0
            return ((counts @ sums) / (counts @ frames)[:, None]).max(axis=1)
    return _mean_of_batches(sums, frames, draws, protocol.clips_per_batch)


def best_f_score(curves: F64) -> float:
    """Return the maximum of the mean F curve, of curves [N,255] without those of NaN; NaN without any."""
    counted = curves[~np.isnan(curves).any(axis=1)]
    return float(counted.mean(axis=0).max()) if len(counted) else float("nan")


def clip_draw_counts(draws: I64, clips: int) -> F64:
    """Count how often each clip was drawn, [R,clips], from draws [R,C]."""
    cells = (draws + clips * np.arange(len(draws))[:, None])[draws != NO_CLIP]
    return np.bincount(cells, minlength=len(draws) * clips).reshape(len(draws), clips).astype(np.float64)


def _mean_of_batches(sums: F64, frames: F64, draws: I64, clips_per_batch: int) -> F64:
    """Score each batch, then average the scores, with the last, shorter batch at full weight.

    A batch without a sounding object has an F of 0, as in the public code.
    """
    sums, frames = _with_zeros(sums), _with_zeros(frames)
    filled = np.pad(draws, ((0, 0), (0, -draws.shape[1] % clips_per_batch)), constant_values=NO_CLIP)
    batches = filled.reshape(len(draws), -1, clips_per_batch)
    total = np.asarray(sum(sums[batches[..., i]] for i in range(clips_per_batch)))
    scores = total.max(axis=-1) / np.maximum(frames[batches].sum(axis=-1), 1)
    count = (batches[..., 0] != NO_CLIP).sum(axis=1)  # a batch without a first clip is none
    return scores.sum(axis=1) / count


def _with_zeros(values: F64) -> F64:
    """Append a row of zeros, which `NO_CLIP` refers to."""
    return np.append(values, np.zeros_like(values[:1]), axis=0)


def _pooled(pixels: F64, metric: MetricName, draws: I64) -> F64:
    """Return the mean of the mask's and the background's score over all pixels; F skips what never occurs."""
    tp, fp, fn, tn = _with_zeros(pixels)[draws].sum(axis=1).T
    if metric == "miou":
        errors = fp + fn + np.spacing(1)
        return (tp / (tp + errors) + tn / (tn + errors)) / 2
    with np.errstate(invalid="ignore"):
        scores = [
            (1 + BETA2) * hits / ((1 + BETA2) * hits + BETA2 * misses + extras)
            for hits, misses, extras in ((tp, fn, fp), (tn, fp, fn))
        ]
    counted = ~np.isnan(scores)
    return np.where(counted, scores, 0.0).sum(axis=0) / counted.sum(axis=0)
