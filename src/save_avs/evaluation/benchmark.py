"""A model over a data set of clips, scored under named protocols, with intervals over clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Literal

import numpy as np

from save_avs.datasets.base import AVDataset, ClipMetadata, WaveformDataset
from save_avs.errors import DataError, UsageError
from save_avs.evaluation.accumulator import ScoreAccumulator
from save_avs.evaluation.benchmark_report import BenchmarkReport
from save_avs.evaluation.bootstrap import RESAMPLES, Score, draw_clusters, score_with_interval
from save_avs.evaluation.examples import pick_examples
from save_avs.evaluation.forward import run_model, semantic_classes
from save_avs.evaluation.frames import read_frames
from save_avs.evaluation.groups import by_category, by_objects
from save_avs.evaluation.results import About, Evidence, GroupScores, LabelScores, ProtocolScores
from save_avs.inference.pipeline import FrameProgress
from save_avs.inference.predictor import FrameModel
from save_avs.inference.prefetch import Prefetcher
from save_avs.metrics.mask_metrics import METRIC_NAMES, ClipTable, MetricName, score_clips
from save_avs.metrics.protocols import ScoringProtocol, get_protocols
from save_avs.metrics.semantic import CLASS_SUBSETS, ClassSubset, SemanticTable, class_scores, score_semantic
from save_avs.types import I64

DEFAULT_PROTOCOLS = ("official", "official-batch4", "dataset")
BATCH = 16


def evaluate_clips(
    model: FrameModel,
    clips: AVDataset,
    protocols: Iterable[str] = DEFAULT_PROTOCOLS,
    *,
    size: int | None = None,
    batch: int = BATCH,
    seed: int = 0,
    resamples: int = RESAMPLES,
    broken: Literal["stop", "skip"] = "stop",
    progress: Callable[[FrameProgress], None] = lambda _: None,
) -> BenchmarkReport:
    """Score a model on a data set; only frames that are annotated and exist count.

    A model with a semantic head, on a data set with labels, is scored on label maps too.

    Args:
        model: in evaluation mode, with its device and precision resolved.
        clips: one split of a data set; heard through the model's front-end where they hand out their sound.
        protocols: names out of ``save_avs.metrics.PROTOCOLS``.
        size: side at which ``dataset`` compares, pixels; else the truth's own.
        batch: frames the model sees at once, across clips; no score depends on it.
        seed: what the intervals are drawn from.
        resamples: data sets drawn for the intervals.
        broken: ``stop`` at the first broken clip, or ``skip`` it; skipped ones are named in the report, and
            the figures are then of other clips than the benchmark's.
        progress: called after each batch; its ``time`` and ``duration`` count clips.

    Raises:
        UsageError: on an unknown protocol, or labels that the model does not know.
        DataError: a file is missing or broken, or no frame is annotated.
    """
    chosen = get_protocols(protocols, size)
    if isinstance(clips, WaveformDataset):
        clips = clips.with_frontend(model.frontend)
    classes = _classes(model, clips)
    book = ScoreAccumulator(
        dict.fromkeys(p.scoring for p in chosen),
        image_size=model.image_size,
        resize=model.resize,
        classes=classes,
    )
    skipped: list[str] = []
    on_broken = None if broken == "stop" else lambda error: skipped.append(str(error))
    reading = read_frames(clips, side=model.image_size, resize=model.resize, batch=batch, on_broken=on_broken)
    start, frames, with_features = time.monotonic(), 0, 0
    with Prefetcher(reading, depth=2) as batches:
        for part in batches:
            book.add(part, *run_model(model, part, labels=classes > 0))
            frames += len(part)
            with_features += 0 if part.features is None else len(part)
            elapsed = time.monotonic() - start
            progress(FrameProgress(frames, part.clips[-1] + 1, len(clips), elapsed))
    if not frames:
        raise DataError(f"{clips.name}, split {clips.split}: no frame is annotated, so none can be scored")
    evidence, metadata = _evidence(clips, book)
    seconds = time.monotonic() - start
    table = book.metrics[chosen[0].scoring].table()
    return BenchmarkReport(
        about=About(
            model=model.name,
            image_size=model.image_size,
            resize=model.resize,
            precision=model.precision,
            data=clips.name,
            split=clips.split,
            clips=len(metadata),
            frames=frames,
            silent_frames=int((~table.sounding).sum()),
            sources=len(set(evidence.sources)),
            seed=seed,
            resamples=resamples,
            features=with_features,
            seconds=seconds,
            skipped=tuple(skipped),
        ),
        scores=_scores(chosen, evidence, metadata, book, seed=seed, resamples=resamples),
        labels=_labels(clips, evidence, seed=seed, resamples=resamples),
        examples=pick_examples(model, clips, table),
        evidence=evidence,
    )


def _classes(model: FrameModel, clips: AVDataset) -> int:
    """Number of labels to score; 0 where either side has none."""
    known = semantic_classes(model)
    if not known or not clips.classes:
        return 0
    if known != tuple(clips.classes):
        raise UsageError(
            f"{model.name} names {len(known)} classes, {clips.name} has {len(clips.classes)}, and they are "
            "not the same"
        )
    return len(known)


def _evidence(clips: AVDataset, book: ScoreAccumulator) -> tuple[Evidence, list[ClipMetadata]]:
    tables = {scoring: metric.table().by_clip() for scoring, metric in book.metrics.items()}
    scored = next(iter(tables.values())).clips
    metadata = [clips.metadata(int(i)) for i in scored]
    labels = None if book.labels is None else book.labels.table()
    names = tuple(fact.name for fact in metadata)
    return Evidence(names, tuple(fact.source for fact in metadata), tables, labels), metadata


def _scores(
    protocols: Sequence[ScoringProtocol],
    evidence: Evidence,
    metadata: Sequence[ClipMetadata],
    book: ScoreAccumulator,
    *,
    seed: int,
    resamples: int,
) -> tuple[ProtocolScores, ...]:
    numbers = next(iter(evidence.tables.values())).clips
    seen = {place: book.label_sets.get(int(clip)) for place, clip in enumerate(numbers)}
    counted = {place: len(labels) for place, labels in seen.items() if labels is not None}

    def draw(name: str, rows: I64) -> Callable[[ScoringProtocol, ClipTable], GroupScores]:
        return _drawn(name, rows, sources=evidence.sources, seed=seed, resamples=resamples)

    everything = draw("all", np.arange(len(metadata)))
    categories = [draw(name, rows) for name, rows in by_category(metadata).items()]
    objects = [draw(name, rows) for name, rows in by_objects(metadata, counted).items()]
    return tuple(
        ProtocolScores(
            protocol,
            everything(protocol, evidence.tables[protocol.scoring]),
            tuple(group(protocol, evidence.tables[protocol.scoring]) for group in categories),
            tuple(group(protocol, evidence.tables[protocol.scoring]) for group in objects),
        )
        for protocol in protocols
    )


def _drawn(
    name: str, rows: I64, *, sources: tuple[str, ...], seed: int, resamples: int
) -> Callable[[ScoringProtocol, ClipTable], GroupScores]:
    """Draw data sets of a group of clips once, for every protocol's score of them."""
    of_group = [sources[i] for i in rows.tolist()]
    draws = draw_clusters(of_group, resamples, seed)

    def score(protocol: ScoringProtocol, table: ClipTable) -> GroupScores:
        part = table.take(rows)
        scores: dict[MetricName, Score] = {
            measure: score_with_interval(partial(score_clips, part, protocol, measure), of_group, draws)
            for measure in METRIC_NAMES
        }
        return GroupScores(name, len(part), int(part.frames.sum()), scores)

    return score


def _labels(clips: AVDataset, evidence: Evidence, *, seed: int, resamples: int) -> LabelScores | None:
    table: SemanticTable | None = evidence.labels
    if table is None or not len(table):
        return None
    names = [clips.metadata(int(i)).source for i in table.clips]
    draws = draw_clusters(names, resamples, seed)

    def score(measure: MetricName, variant: ClassSubset) -> Score:
        return score_with_interval(lambda rows: score_semantic(table, measure, variant, rows), names, draws)

    return LabelScores(
        classes=clips.classes,
        overall={
            variant: {measure: score(measure, variant) for measure in METRIC_NAMES}
            for variant in CLASS_SUBSETS
        },
        miou=tuple(class_scores(table, "miou").tolist()),
        f=tuple(class_scores(table, "f").tolist()),
        frames=tuple(int(n) for n in table.frames.sum(axis=0)),
    )
