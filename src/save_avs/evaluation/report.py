"""The report of a model on a data set of clips: its scores as Markdown and JSON, and a contact sheet."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from save_avs._files import atomic_write
from save_avs._text import json_document, markdown_table
from save_avs.evaluation.examples import ExampleFrame, draw_examples
from save_avs.metrics.bootstrap_and_permutation import Estimate
from save_avs.metrics.mask_metrics import ClipTable, MetricName
from save_avs.metrics.protocols import FrameScoring, ScoringProtocol
from save_avs.metrics.semantic_scores import CLASS_SUBSETS, ClassSubset, SemanticTable

VERSION = 1


@dataclass(frozen=True)
class PublishedResult:
    """A paper's result on a data set, from ``reference_results.yaml``; none of them was measured again."""

    method: str  # name and venue
    miou: float  # percent, as printed
    f: float | None = None  # percent; None if the paper has none
    # code that scored it, as far as it is known
    protocol: str = "the benchmark's public code; the batch size is not stated"
    caveat: str = ""  # for comparisons with our scores


_RESULTS: dict[str, dict[str, Any]] = yaml.safe_load(
    files("save_avs.evaluation").joinpath("reference_results.yaml").read_text("utf-8")
)


def published_results(kind: Literal["masks", "labels"], data: str, split: str) -> tuple[PublishedResult, ...]:
    """Return the published results of a test split: for masks, or for the label maps of AVSBench-semantic."""
    rows = _RESULTS.get(data, {}).get(kind, ()) if split == "test" else ()
    return tuple(PublishedResult(**row) for row in rows)


@dataclass(frozen=True)
class EvaluationInfo:
    """What was evaluated on what."""

    model: str
    image_size: int  # side of the model's square input, pixels; 0 for masks of the frames' own size
    resize: str  # how a frame becomes that square
    precision: str
    data: str
    split: str  # of the data set ``data``
    clips: int  # clips scored
    frames: int  # frames scored, which are those that are annotated and exist
    silent_frames: int  # scored frames in which nothing sounds
    sources: int  # videos that the clips were cut from
    seed: int  # of intervals and tests
    resamples: int  # data sets drawn for the intervals
    features: int  # frames whose audio features came with the data set
    seconds: float  # time for reading, inference and scoring
    padding: int = 0  # frames of padding scored in label maps, as the public code of AVSS does
    skipped: tuple[str, ...] = ()  # broken clips that were left out, each with its reason


@dataclass(frozen=True)
class GroupScores:
    """The scores of a named group of clips."""

    name: str
    clips: int
    frames: int
    scores: dict[MetricName, Estimate]


@dataclass(frozen=True)
class ProtocolScores:
    """All scores under one protocol."""

    protocol: ScoringProtocol  # as it was run
    overall: GroupScores  # of all clips
    categories: tuple[GroupScores, ...]  # by category; a clip with two categories counts in both
    objects: tuple[GroupScores, ...]  # by number of sounding objects


@dataclass(frozen=True)
class SemanticScores:
    """The scores of label maps (AVSS)."""

    classes: tuple[str, ...]  # names of the labels
    overall: dict[ClassSubset, dict[MetricName, Estimate]]  # by subset of the classes that is averaged
    miou: tuple[float, ...]  # of each class; NaN for a class that occurs in no frame
    f: tuple[float, ...]  # of each class, likewise
    frames: tuple[int, ...]  # frames in which each class is predicted or true


@dataclass(frozen=True)
class ClipScores:
    """The scores of single clips, which `compare` needs."""

    names: tuple[str, ...]  # of the clips, in the tables' order
    sources: tuple[str, ...]  # the video each was cut from
    # sums over each clip's frames, by way of scoring frames
    tables: dict[FrameScoring, ClipTable] = field(default_factory=dict)
    semantic: SemanticTable | None = None  # likewise for label maps

    def mean_ious(self, scoring: FrameScoring) -> list[float]:
        """Mean IoU of each clip's frames."""
        table = self.tables[scoring]
        return (table.iou / np.maximum(table.frames, 1)).tolist()


@dataclass(frozen=True)
class BenchmarkReport:
    """Result of `evaluate_clips`."""

    info: EvaluationInfo  # the model, the data and the settings
    scores: tuple[ProtocolScores, ...]  # under each protocol, in the requested order
    semantic: SemanticScores | None  # of label maps, where model and data have them
    examples: tuple[ExampleFrame, ...]  # the best, the median and the worst clips
    clip_scores: ClipScores  # of single clips, for `compare`

    def table(self) -> str:
        """Format all scores as Markdown, in percent, next to published ones."""
        info, first = self.info, self.scores[0]
        published = published_results("masks", info.data, info.split)
        parts = [_heading(info), _protocol_table(self.scores, published), _protocol_list(self.scores)]
        for what, groups in {
            "category": first.categories,
            "number of sounding objects": first.objects,
        }.items():
            if groups:
                rows = [
                    (g.name, str(g.clips), str(g.frames), *map(_percent_interval, g.scores.values()))
                    for g in groups
                ]
                table = markdown_table((what, "clips", "frames", "mIoU", "F"), rows)
                parts.append(f"By {what}, protocol `{first.protocol.name}`:\n\n{table}")
        if self.semantic is not None:
            parts += _semantic_tables(self.semantic, published_results("labels", info.data, info.split))
        return "\n\n".join(parts) + "\n"

    def as_json(self) -> dict[str, Any]:
        """Return all scores as plain values in 0..1, published ones marked as such."""
        info = self.info
        ious = self.clip_scores.mean_ious(self.scores[0].protocol.scoring)
        clips = zip(self.clip_scores.names, self.clip_scores.sources, ious, strict=True)
        return {
            "version": VERSION,
            "info": asdict(info),
            "protocols": {s.protocol.name: _protocol_json(s) for s in self.scores},
            "semantic": None if self.semantic is None else _semantic_json(self.semantic),
            "published": {
                kind: [_published_json(p) for p in published_results(kind, info.data, info.split)]
                for kind in ("masks", "labels")
            },
            "clips": [{"name": name, "source": source, "miou": round(iou, 6)} for name, source, iou in clips],
        }

    def save(self, folder: str | Path) -> Path:
        """Write report.json, report.md and examples.png into a folder."""
        folder = Path(folder)
        atomic_write(folder / "report.json", json_document(self.as_json()))
        atomic_write(folder / "report.md", self.table())
        title = f"{self.info.model} on {self.info.data}, split {self.info.split}"
        draw_examples(folder / "examples.png", self.examples, title)
        return folder


def percent(value: float) -> str:
    """Format a score in 0..1 as a percentage; a dash for NaN."""
    return "–" if math.isnan(value) else f"{100 * value:.1f}"


def _percent_interval(score: Estimate) -> str:
    value = percent(score.value)
    return value if math.isnan(score.low) else f"{value} [{percent(score.low)}, {percent(score.high)}]"


def _heading(info: EvaluationInfo) -> str:
    size = f"{info.image_size} px" if info.image_size else "frames' own size"
    text = (
        f"{info.model} ({size}, {info.resize}, {info.precision}) on {info.data}, split {info.split}: "
        f"{info.clips} clips of {info.sources} source videos, {info.frames} frames, {info.silent_frames} of "
        "them without a sounding object. Percentages, with 95 % bootstrap intervals over source videos."
    )
    if info.padding:
        text += (
            f" Label maps as the public code scores them: with {info.padding} frames of padding, in which "
            "background is found."
        )
    if info.skipped:
        text += (
            f"\n\n**{len(info.skipped)} broken clips were left out**: the scores are of fewer clips than "
            "the benchmark has."
        )
    test_clips = _RESULTS.get(info.data, {}).get("clips", info.clips)
    official = test_clips if info.split == "test" else info.clips
    if official != info.clips:
        text += (
            f"\n\n**Not the benchmark's test split**: it has {official} clips, this run scored "
            f"{info.clips}. The published scores below are of another set of clips."
        )
    return text


def _protocol_table(scores: Sequence[ProtocolScores], published: Iterable[PublishedResult]) -> str:
    rows = [
        (f"**{s.protocol.name}**", *map(_percent_interval, s.overall.scores.values()), "measured here")
        for s in scores
    ]
    return markdown_table(("protocol", "mIoU", "F", "source"), rows + _published_rows(published))


def _published_rows(published: Iterable[PublishedResult]) -> list[tuple[str, ...]]:
    rows = []
    for p in published:
        note = f"published; protocol: {p.protocol}" + (f"; {p.caveat}" if p.caveat else "")
        rows.append((p.method, f"{p.miou:g}", "–" if p.f is None else f"{p.f:g}", note))
    return rows


def _protocol_list(scores: Sequence[ProtocolScores]) -> str:
    lines = []
    for protocol in (s.protocol for s in scores):
        size = protocol.scoring.size
        where = "the target's own size" if size == "target" else f"{size} x {size}"
        compared = f"; compared at {where}" if protocol.size_is_configurable else ""
        lines.append(f"* `{protocol.name}`: {protocol.description}{compared}")
    return "\n".join(lines)


def _semantic_tables(semantic: SemanticScores, published: Sequence[PublishedResult]) -> list[str]:
    subsets = [
        (f"**{name}**", *map(_percent_interval, scores.values()), f"measured here: {CLASS_SUBSETS[name]}")
        for name, scores in semantic.overall.items()
    ]
    classes = [
        (name, str(frames), percent(iou), percent(f))
        for name, frames, iou, f in zip(
            semantic.classes, semantic.frames, semantic.miou, semantic.f, strict=True
        )
        if frames
    ]
    absent = len(semantic.classes) - len(classes)
    return [
        f"Label maps (AVSS) of {len(semantic.classes)} classes, {absent} of which occur in no frame and "
        "count as 0; label maps compared at 224 x 224:\n\n"
        + markdown_table(("classes", "mIoU", "F", "source"), subsets + _published_rows(published)),
        "By class:\n\n" + markdown_table(("class", "frames", "IoU", "F"), classes),
    ]


def _protocol_json(scores: ProtocolScores) -> dict[str, Any]:
    protocol = scores.protocol
    return {
        "description": protocol.description,
        "clips_per_batch": protocol.clips_per_batch,
        "scoring": asdict(protocol.scoring),
        "overall": _group_json(scores.overall),
        "categories": {g.name: _group_json(g) for g in scores.categories},
        "objects": {g.name: _group_json(g) for g in scores.objects},
    }


def _group_json(group: GroupScores) -> dict[str, Any]:
    return {"clips": group.clips, "frames": group.frames, **{m: asdict(s) for m, s in group.scores.items()}}


def _semantic_json(semantic: SemanticScores) -> dict[str, Any]:
    columns = zip(semantic.classes, semantic.frames, semantic.miou, semantic.f, strict=True)
    return {
        "subsets": {name: {m: asdict(s) for m, s in both.items()} for name, both in semantic.overall.items()},
        "classes": {name: {"frames": n, "miou": iou, "f": f} for name, n, iou, f in columns},
    }


def _published_json(result: PublishedResult) -> dict[str, Any]:
    scores = {
        "miou": round(result.miou / 100, 6),
        "f": None if result.f is None else round(result.f / 100, 6),
    }
    return {"method": result.method, **scores, "protocol": result.protocol, "caveat": result.caveat}
