"""Scores of masks over a data set: update with frames, merge across processes, compute under a protocol.

A frame is reduced to a few counts and its F curve when it is added. Sums of these over a clip's frames
(`ClipTable`) are all that any protocol needs, so clips can be drawn again, left out or swapped without
the model: `score_clips` takes which clips to count, and is what intervals and tests are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
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
NO_CLIP = -1  # fills a row of draws up to the longest one's length


@dataclass(frozen=True)
class ClipTable:
    """Sums over the frames of each clip, clips in the data set's order.

    Attributes:
        clips: each clip's place in the data set, [C].
        frames: frames scored, [C].
        iou: sum of their IoUs, [C].
        sounding: frames in which something sounds, [C].
        curve: sum of these frames' F curves, [C,255].
        pixels: right in the mask, wrong in it, missed, and right outside it, [C,4].
    """

    clips: I64
    frames: F64
    iou: F64
    sounding: F64
    curve: F64
    pixels: F64

    def __len__(self) -> int:
        return len(self.clips)

    def take(self, rows: I64 | Bool) -> ClipTable:
        """Some of the clips."""
        return ClipTable(*(getattr(self, column.name)[rows] for column in fields(self)))

    def join(self, other: ClipTable) -> ClipTable:
        """The clips of both, one after the other."""
        pairs = ((getattr(self, c.name), getattr(other, c.name)) for c in fields(self))
        return ClipTable(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True)
class FrameTable:
    """What was found in single frames.

    Attributes:
        clips: the clip of each frame, its place in the data set, [N].
        positions: its place in the clip, [N].
        counts: pixels in both, in the mask, in the truth, in the frame, [N,4].
        curves: F at 255 thresholds, [N,255]; NaN where nothing sounds.
    """

    clips: I64
    positions: I64
    counts: I64
    curves: F64

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def sounding(self) -> Bool:
        """Frames in which something sounds, [N]."""
        return self.counts[:, 2] > 0

    def where(self, keep: Bool) -> FrameTable:
        """Some of the frames."""
        return FrameTable(self.clips[keep], self.positions[keep], self.counts[keep], self.curves[keep])

    def by_clip(self) -> ClipTable:
        """Sums over each clip's frames; the order in which frames came does not matter."""
        clips, rows = np.unique(self.clips, return_inverse=True)
        shared, marked, truth, pixels = self.counts.T
        kinds = np.stack([shared, marked - shared, truth - shared, pixels - marked - truth + shared], axis=1)

        def add(values: NDArray) -> F64:
            sums = np.zeros((len(clips), *values.shape[1:]))
            np.add.at(sums, rows, values)
            return sums

        return ClipTable(
            clips=clips,
            frames=add(np.ones(len(self))),
            iou=add(mask_ious(self.counts)),
            sounding=add(self.sounding),
            curve=add(np.nan_to_num(self.curves)),
            pixels=add(kinds),
        )


class MaskMetric:
    """Collects frames as one view sees them.

    State is plain CPU tensors: an instance can be pickled and sent to another process to be merged there.

    Args:
        scoring: threshold, and what F thresholds; frames come resized already.
    """

    def __init__(self, scoring: FrameScoring | None = None) -> None:
        self.scoring = scoring or FrameScoring()
        self.reset()

    def reset(self) -> None:
        """Forget every frame."""
        self._places: list[Tensor] = []
        self._counts: list[Tensor] = []
        self._curves: list[Tensor] = []

    def update(
        self,
        logits: Tensor,
        targets: Tensor,
        clips: Sequence[int] | Tensor,
        positions: Sequence[int] | Tensor | None = None,
    ) -> None:
        """Add annotated frames; they need not come clip by clip.

        Args:
            logits: float [B,H,W], before the sigmoid, at the size of the truth.
            targets: bool [B,H,W].
            clips: for each frame, its clip's place in the data set.
            positions: its place in the clip; all 0 unless told.

        Raises:
            ValueError: when shapes or types do not hold, or a logit is NaN.
        """
        given = (clips, [0] * len(logits) if positions is None else positions)
        where = [torch.as_tensor(places, dtype=torch.int64).cpu() for places in given]
        if any(place.shape != logits.shape[:1] for place in where):
            raise ValueError(f"clips and positions must have one entry a frame, of {len(logits)}")
        probs = logits.float().sigmoid()
        self._counts.append(frame_counts(probs, targets, self.scoring.threshold))
        curves = frame_f_curves(logits.float() if self.scoring.f_from_logits else probs, targets)
        self._curves.append(curves)
        self._places.append(torch.stack(where, dim=1))

    def merge(self, other: Self) -> None:
        """Add the frames of another instance, of another process for example."""
        self._places += other._places
        self._counts += other._counts
        self._curves += other._curves

    def table(self) -> FrameTable:
        """All frames so far, in the order they were added."""
        if not self._places:
            empty = np.zeros(0, np.int64)
            return FrameTable(empty, empty, np.zeros((0, 4), np.int64), np.zeros((0, THRESHOLDS)))
        clips, positions = torch.cat(self._places).numpy().T
        return FrameTable(clips, positions, torch.cat(self._counts).numpy(), torch.cat(self._curves).numpy())

    def compute(self, protocol: ScoringProtocol) -> dict[MetricName, float]:
        """Mean IoU and F of all frames so far; NaN when there is none to score.

        Raises:
            ValueError: when the protocol looks at frames in another way than this metric.
        """
        if (protocol.scoring.threshold, protocol.scoring.f_from_logits) != (
            self.scoring.threshold,
            self.scoring.f_from_logits,
        ):
            raise ValueError(f"protocol '{protocol.name}' needs another view: {protocol.scoring}")
        table = self.table().by_clip()
        return {measure: float(score_clips(table, protocol, measure)) for measure in METRIC_NAMES}


def score_clips(
    table: ClipTable, protocol: ScoringProtocol, measure: MetricName, draws: I64 | None = None
) -> F64:
    """Score clips under a protocol.

    Args:
        table: sums of each clip.
        protocol: see `PROTOCOLS`.
        measure: ``miou`` (the paper's M_J) or ``f`` (M_F).
        draws: rows of the table to score, in order, [R,C]; one row is one data set, a shorter one filled up
            with `NO_CLIP` at its end. All, once, by default.

    Returns:
        One score a row, f64 [R]; f64 [] without draws. NaN when no frame counts.

    Source: AVSBench (arXiv 2207.05042) and, for pooled scores, CAVP (arXiv 2304.02970), as their public
    code has it.
    """
    if draws is None:
        return score_clips(table, protocol, measure, np.arange(len(table))[None])[0]
    if len(table) == 0:
        return np.full(len(draws), np.nan)
    if protocol.pooled:
        return _pooled(table.pixels, measure, draws)
    if protocol.clips_per_batch is None:
        return _one_batch(table, measure, draws)
    return _mean_of_batches(table, measure, draws, protocol.clips_per_batch)


def best_f_score(curves: F64) -> float:
    """Maximum of the mean F curve, of curves [N,255]; those of NaN do not count. NaN when none does."""
    counted = curves[~np.isnan(curves).any(axis=1)]
    return float(counted.mean(axis=0).max()) if len(counted) else float("nan")


def _sums(table: ClipTable, measure: MetricName) -> tuple[F64, F64]:
    """What is averaged, [C,1] or [C,255], and over how many frames, [C]."""
    return (table.iou[:, None], table.frames) if measure == "miou" else (table.curve, table.sounding)


def clip_draw_counts(draws: I64, clips: int) -> F64:
    """How often each clip was drawn, [R,clips], from draws [R,C]."""
    places = (draws + clips * np.arange(len(draws))[:, None])[draws != NO_CLIP]
    return np.bincount(places, minlength=len(draws) * clips).reshape(len(draws), clips).astype(np.float64)


def _one_batch(table: ClipTable, measure: MetricName, draws: I64) -> F64:
    sums, frames = _sums(table, measure)
    weights = clip_draw_counts(draws, len(table))
    with np.errstate(invalid="ignore"):  # no frame counts: 0 / 0
        return ((weights @ sums) / (weights @ frames)[:, None]).max(axis=1)


def _mean_of_batches(table: ClipTable, measure: MetricName, draws: I64, clips_per_batch: int) -> F64:
    """Each batch by itself, then their mean, the last and shorter one at full weight.

    A batch in which nothing sounds has an F of 0, as in the public code.
    """
    sums, frames = (_with_nothing(values) for values in _sums(table, measure))
    filled = np.pad(draws, ((0, 0), (0, -draws.shape[1] % clips_per_batch)), constant_values=NO_CLIP)
    batches = filled.reshape(len(draws), -1, clips_per_batch)
    total = sum(sums[batches[..., i]] for i in range(clips_per_batch))
    scores = _best(np.asarray(total), frames[batches].sum(axis=-1))
    begun = (batches[..., 0] != NO_CLIP).sum(axis=1)  # a batch without a first clip is none
    return scores.sum(axis=1) / begun


def _with_nothing(values: F64) -> F64:
    """Values with a row of zeros behind them, which is where `NO_CLIP` points."""
    return np.append(values, np.zeros_like(values[:1]), axis=0)


def _best(sums: F64, frames: F64) -> F64:
    return sums.max(axis=-1) / np.maximum(frames, 1)


def _pooled(pixels: F64, measure: MetricName, draws: I64) -> F64:
    """Mean of the mask's and the background's score over all pixels; F leaves out what never occurs."""
    right, wrong, missed, rest = _with_nothing(pixels)[draws].sum(axis=1).T
    if measure == "miou":
        union = wrong + missed + np.spacing(1)
        return (right / (right + union) + rest / (rest + union)) / 2
    with np.errstate(invalid="ignore"):
        scores = [
            (1 + BETA2) * hits / ((1 + BETA2) * hits + BETA2 * misses + extras)
            for hits, misses, extras in ((right, missed, wrong), (rest, wrong, missed))
        ]
    counted = ~np.isnan(scores)
    return np.where(counted, scores, 0.0).sum(axis=0) / counted.sum(axis=0)
