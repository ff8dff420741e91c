"""A model over a data set of clips, scored under named protocols, with intervals over clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Literal

import numpy as np

from save_avs.data.clipset import AudibleClips, ClipFacts, ClipSet
from save_avs.errors import DataError, UsageError
from save_avs.evaluation.asking import ask, named_classes
from save_avs.evaluation.benchmark_report import BenchmarkReport
from save_avs.evaluation.examples import pick_examples
from save_avs.evaluation.frames import read_frames
from save_avs.evaluation.groups import by_category, by_objects
from save_avs.evaluation.resampling import RESAMPLES, Score, draw_clips, with_interval
from save_avs.evaluation.results import About, Evidence, GroupScores, LabelScores, ProtocolScores
from save_avs.evaluation.scorebook import Scorebook
from save_avs.inference.ahead import Ahead
from save_avs.inference.predictor import FrameModel
from save_avs.inference.segmentation import Progress
from save_avs.objectives.metrics import MEASURES, ClipTable, Measure, score_clips
from save_avs.objectives.protocols import Protocol, choose_protocols
from save_avs.objectives.semantic import VARIANTS, LabelTable, Variant, class_scores, score_labels
from save_avs.types import I64

DEFAULT_PROTOCOLS = ("official", "official-batch4", "dataset")
BATCH = 16


def evaluate_clips(
    model: FrameModel,
    clips: ClipSet,
    protocols: Iterable[str] = DEFAULT_PROTOCOLS,
    *,
    size: int | None = None,
    batch: int = BATCH,
    seed: int = 0,
    resamples: int = RESAMPLES,
    broken: Literal["stop", "skip"] = "stop",
    progress: Callable[[Progress], None] = lambda _: None,
) -> BenchmarkReport:
    """Score a model on a data set; only frames that are annotated and exist count.

    A model with a semantic head, on a data set with labels, is scored on label maps too.

    Args:
        model: in evaluation mode, with its device and precision resolved.
        clips: one split of a data set; heard through the model's front-end where they hand out their sound.
        protocols: names out of ``save_avs.objectives.PROTOCOLS``.
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
    chosen = choose_protocols(protocols, size)
    if isinstance(clips, AudibleClips):
        clips = clips.heard_by(model.front_end)
    classes = _classes(model, clips)
    book = Scorebook(
        dict.fromkeys(p.view for p in chosen),
        image_size=model.image_size,
        resize=model.resize,
        classes=classes,
    )
    skipped: list[str] = []
    on_broken = None if broken == "stop" else lambda error: skipped.append(str(error))
    reading = read_frames(clips, side=model.image_size, resize=model.resize, batch=batch, on_broken=on_broken)
    start, frames, with_features = time.monotonic(), 0, 0
    with Ahead(reading, depth=2) as batches:
        for part in batches:
            book.add(part, *ask(model, part, labels=classes > 0))
            frames += len(part)
            with_features += 0 if part.features is None else len(part)
            elapsed = time.monotonic() - start
            progress(Progress(frames, part.clips[-1] + 1, len(clips), elapsed))
    if not frames:
        raise DataError(f"{clips.name}, split {clips.split}: no frame is annotated, so none can be scored")
    evidence, facts = _evidence(clips, book)
    seconds = time.monotonic() - start
    table = book.metrics[chosen[0].view].table()
    return BenchmarkReport(
        about=About(
            model=model.name,
            image_size=model.image_size,
            resize=model.resize,
            precision=model.precision,
            data=clips.name,
            split=clips.split,
            clips=len(facts),
            frames=frames,
            silent_frames=int((~table.sounding).sum()),
            sources=len(set(evidence.sources)),
            seed=seed,
            resamples=resamples,
            features=with_features,
            seconds=seconds,
            skipped=tuple(skipped),
        ),
        scores=_scores(chosen, evidence, facts, book, seed=seed, resamples=resamples),
        labels=_labels(clips, evidence, seed=seed, resamples=resamples),
        examples=pick_examples(model, clips, table),
        evidence=evidence,
    )


def _classes(model: FrameModel, clips: ClipSet) -> int:
    """Number of labels to score; 0 where either side has none."""
    known = named_classes(model)
    if not known or not clips.classes:
        return 0
    if known != tuple(clips.classes):
        raise UsageError(
            f"{model.name} names {len(known)} classes, {clips.name} has {len(clips.classes)}, and they are "
            "not the same"
        )
    return len(known)


def _evidence(clips: ClipSet, book: Scorebook) -> tuple[Evidence, list[ClipFacts]]:
    tables = {view: metric.table().by_clip() for view, metric in book.metrics.items()}
    scored = next(iter(tables.values())).clips
    facts = [clips.facts(int(i)) for i in scored]
    labels = None if book.labels is None else book.labels.table()
    names = tuple(fact.name for fact in facts)
    return Evidence(names, tuple(fact.source for fact in facts), tables, labels), facts


def _scores(
    protocols: Sequence[Protocol],
    evidence: Evidence,
    facts: Sequence[ClipFacts],
    book: Scorebook,
    *,
    seed: int,
    resamples: int,
) -> tuple[ProtocolScores, ...]:
    numbers = next(iter(evidence.tables.values())).clips
    seen = {place: book.label_sets.get(int(clip)) for place, clip in enumerate(numbers)}
    counted = {place: len(labels) for place, labels in seen.items() if labels is not None}

    def draw(name: str, rows: I64) -> Callable[[Protocol, ClipTable], GroupScores]:
        return _drawn(name, rows, sources=evidence.sources, seed=seed, resamples=resamples)

    everything = draw("all", np.arange(len(facts)))
    categories = [draw(name, rows) for name, rows in by_category(facts).items()]
    objects = [draw(name, rows) for name, rows in by_objects(facts, counted).items()]
    return tuple(
        ProtocolScores(
            protocol,
            everything(protocol, evidence.tables[protocol.view]),
            tuple(group(protocol, evidence.tables[protocol.view]) for group in categories),
            tuple(group(protocol, evidence.tables[protocol.view]) for group in objects),
        )
        for protocol in protocols
    )


def _drawn(
    name: str, rows: I64, *, sources: tuple[str, ...], seed: int, resamples: int
) -> Callable[[Protocol, ClipTable], GroupScores]:
    """Draw data sets of a group of clips once, for every protocol's score of them."""
    of_group = [sources[i] for i in rows.tolist()]
    draws = draw_clips(of_group, resamples, seed)

    def score(protocol: Protocol, table: ClipTable) -> GroupScores:
        part = table.take(rows)
        scores: dict[Measure, Score] = {
            measure: with_interval(partial(score_clips, part, protocol, measure), of_group, draws)
            for measure in MEASURES
        }
        return GroupScores(name, len(part), int(part.frames.sum()), scores)

    return score


def _labels(clips: ClipSet, evidence: Evidence, *, seed: int, resamples: int) -> LabelScores | None:
    table: LabelTable | None = evidence.labels
    if table is None or not len(table):
        return None
    names = [clips.facts(int(i)).source for i in table.clips]
    draws = draw_clips(names, resamples, seed)

    def score(measure: Measure, variant: Variant) -> Score:
        return with_interval(lambda rows: score_labels(table, measure, variant, rows), names, draws)

    return LabelScores(
        classes=clips.classes,
        overall={variant: {measure: score(measure, variant) for measure in MEASURES} for variant in VARIANTS},
        miou=tuple(class_scores(table, "miou").tolist()),
        f=tuple(class_scores(table, "f").tolist()),
        frames=tuple(int(n) for n in table.frames.sum(axis=0)),
    )
