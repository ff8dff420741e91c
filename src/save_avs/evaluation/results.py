"""What an evaluation finds: small frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from save_avs.evaluation.bootstrap import Score
from save_avs.metrics.mask_metrics import ClipTable, MetricName
from save_avs.metrics.protocols import FrameScoring, ScoringProtocol
from save_avs.metrics.semantic import ClassSubset, SemanticTable
from save_avs.types import U8, Bool


@dataclass(frozen=True)
class About:
    """What was evaluated on what.

    Attributes:
        model: how it calls itself.
        image_size: side of the square it sees, pixels.
        resize: how a frame becomes that square.
        precision: the arithmetic it ran in.
        data: name of the data set.
        split: which part of it.
        clips: scored.
        frames: scored: annotated and real.
        silent_frames: those of them in which nothing sounds.
        sources: videos that the clips were cut from.
        seed: of the intervals and tests.
        resamples: data sets drawn for the intervals.
        features: frames whose audio features came with the data set.
        seconds: reading, running and scoring took.
        skipped: broken clips that were left out, each with its reason.
    """

    model: str
    image_size: int
    resize: str
    precision: str
    data: str
    split: str
    clips: int
    frames: int
    silent_frames: int
    sources: int
    seed: int
    resamples: int
    features: int
    seconds: float
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class GroupScores:
    """The scores of some of the clips: ``name`` says which."""

    name: str
    clips: int
    frames: int
    scores: dict[MetricName, Score]


@dataclass(frozen=True)
class ProtocolScores:
    """All scores under one protocol.

    Attributes:
        protocol: as it was run.
        overall: of all clips.
        categories: of the clips of each category; a clip of two counts in both.
        objects: of the clips with so many sounding objects.
    """

    protocol: ScoringProtocol
    overall: GroupScores
    categories: tuple[GroupScores, ...]
    objects: tuple[GroupScores, ...]


@dataclass(frozen=True)
class LabelScores:
    """The scores of label maps (AVSS).

    Attributes:
        classes: names of the labels.
        overall: of every variant.
        miou: of each class, NaN for one that occurs in no frame.
        f: likewise.
        frames: in which the class is predicted or true.
    """

    classes: tuple[str, ...]
    overall: dict[ClassSubset, dict[MetricName, Score]]
    miou: tuple[float, ...]
    f: tuple[float, ...]
    frames: tuple[int, ...]


@dataclass(frozen=True)
class Example:
    """A clip of the contact sheet: frame u8 [H,W,3], true and predicted mask bool [H,W]."""

    kind: str
    name: str
    iou: float
    picture: U8
    truth: Bool
    found: Bool


@dataclass(frozen=True)
class Evidence:
    """What single clips scored: all that a comparison with another model needs.

    Attributes:
        names: of the clips, in the tables' order.
        sources: the video each was cut from.
        tables: sums of each clip, for each way to look at frames.
        labels: likewise for label maps.
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    tables: dict[FrameScoring, ClipTable] = field(default_factory=dict)
    labels: SemanticTable | None = None

    def clip_ious(self, scoring: FrameScoring) -> list[float]:
        """Mean IoU of each clip's frames."""
        table = self.tables[scoring]
        return (table.iou / np.maximum(table.frames, 1)).tolist()
