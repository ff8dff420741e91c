"""A model on a data set of clips, scored under named protocols, with intervals over source videos."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np

from save_avs.datasets.base import AVDataset, ClipMetadata
from save_avs.datasets.image_and_video_clips import ClipDataset
from save_avs.errors import DataError, UsageError
from save_avs.evaluation.accumulator import ScoreAccumulator
from save_avs.evaluation.examples import pick_examples
from save_avs.evaluation.forward import FrameBatch, ModelSource, read_frame_batches
from save_avs.evaluation.predictions import FrameOutputs, MaskSource, StoredPredictions
from save_avs.evaluation.report import (
    BenchmarkReport,
    ClipScores,
    EvaluationInfo,
    GroupScores,
    ProtocolScores,
    SemanticScores,
)
from save_avs.inference.predictor import FrameModel
from save_avs.inference.prefetch import Prefetcher
from save_avs.inference.segment_options import FrameProgress
from save_avs.metrics.bootstrap_and_permutation import RESAMPLES, Estimate, draw_clusters, score_with_interval
from save_avs.metrics.mask_metrics import METRIC_NAMES, MetricName, score_clips
from save_avs.metrics.protocols import ScoringProtocol, get_protocols
from save_avs.metrics.semantic_scores import CLASS_SUBSETS, ClassSubset, class_scores, score_semantic
from save_avs.types import I64

DEFAULT_PROTOCOLS = ("official", "official-batch4", "dataset")
BATCH_SIZE = 16
UNKNOWN = "not known"


def evaluate_clips(
    model: FrameModel | StoredPredictions,
    clips: AVDataset,
    protocols: Iterable[str] = DEFAULT_PROTOCOLS,
    *,
    size: int | None = None,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    resamples: int = RESAMPLES,
    broken: Literal["stop", "skip"] = "stop",
    progress: Callable[[FrameProgress], None] = lambda _: None,
    on_outputs: Callable[[FrameBatch, FrameOutputs], None] = lambda _, __: None,
) -> BenchmarkReport:
    """Score a model, or masks in files, on a data set; only frames that are annotated and exist count.

    A model with a semantic head, on a data set with labels, is scored on label maps too.

    Args:
        model: in evaluation mode, with its device and precision resolved; or `open_predictions`.
        clips: one split of a data set; waveforms, if it has them, pass through the model's front-end.
        protocols: names from ``save_avs.metrics.protocols.PROTOCOLS``.
        size: side at which ``dataset`` compares, pixels; by default the target's own size.
        batch_size: frames per batch, across clips; no score depends on it.
        seed: of the intervals.
        resamples: data sets drawn for the intervals.
        broken: ``stop`` at the first broken clip, or ``skip`` it; the report names skipped clips, and its
            scores are then of other clips than the benchmark's.
        progress: called after each batch; its ``time`` and ``duration`` count clips.
        on_outputs: called with each batch and the predictions for it.

    Raises:
        UsageError: on an unknown protocol, one that needs a size that stored masks do not tell, or labels
            that are not the model's.
        DataError: a file is missing or broken, or no frame is annotated.
    """
    chosen = get_protocols(protocols, size)
    source = model if isinstance(model, StoredPredictions) else ModelSource(model)
    if not source.image_size and (blind := [p.name for p in chosen if p.scoring.size == "network"]):
        raise UsageError(
            f"protocol '{blind[0]}' compares at the network's size, which {source.name} does not tell: "
            "leave it out, or give square masks of that size"
        )
    if isinstance(clips, ClipDataset) and not isinstance(model, StoredPredictions):
        clips = clips.with_frontend(model.frontend)
    classes = _count_labels(source, clips)
    accumulator = ScoreAccumulator(
        dict.fromkeys(p.scoring for p in chosen), image_size=source.image_size, classes=classes
    )
    skipped: list[str] = []
    on_broken = None if broken == "stop" else lambda error: skipped.append(str(error))
    reader = read_frame_batches(
        clips,
        image_size=source.image_size if source.reads_images else None,
        resize=source.resize,
        batch_size=batch_size,
        on_broken=on_broken,
    )
    start, frames, with_features, scored = time.monotonic(), 0, 0, set[int]()
    with Prefetcher(reader, depth=2) as batches:
        for batch in batches:
            outputs = source.predict(batch, labels=classes > 0)
            on_outputs(batch, outputs)
            accumulator.add(batch, outputs)
            frames += len(batch)
            scored.update(batch.clips)
            with_features += 0 if batch.features is None else len(batch)
            elapsed = time.monotonic() - start
            progress(FrameProgress(frames, batch.clips[-1] + 1, len(clips), elapsed))
    if not frames:
        raise DataError(f"{clips.name}, split {clips.split}: no frame is annotated, so none can be scored.")
    padding = 0
    if isinstance(clips, ClipDataset) and classes:
        padding = sum(accumulator.add_padding(i, clips.padding(i)) for i in sorted(scored))
    clip_scores, metadata = _clip_scores(clips, accumulator)
    seconds = time.monotonic() - start
    table = accumulator.metrics[chosen[0].scoring].table()
    return BenchmarkReport(
        info=EvaluationInfo(
            model=source.name,
            image_size=source.image_size,
            resize=source.resize,
            precision=source.precision,
            data=clips.name,
            split=clips.split,
            clips=len(metadata),
            frames=frames,
            silent_frames=int((~table.sounding).sum()),
            sources=len(set(clip_scores.sources)),
            seed=seed,
            resamples=resamples,
            features=with_features,
            seconds=seconds,
            padding=padding,
            skipped=tuple(skipped),
        ),
        scores=_protocol_scores(
            chosen, clip_scores, metadata, accumulator.label_sets, seed=seed, resamples=resamples
        ),
        semantic=_semantic_scores(clips, clip_scores, seed=seed, resamples=resamples),
        examples=pick_examples(source, clips, table),
        clip_scores=clip_scores,
    )


def clips_by_category(metadata: Sequence[ClipMetadata]) -> dict[str, I64]:
    """Indices of the clips of each category, in alphabetical order; a clip may have several categories."""
    names = sorted({name for clip in metadata for name in clip.categories})
    return {name: np.flatnonzero([name in clip.categories for clip in metadata]) for name in names}


def _clips_by_object_count(
    metadata: Sequence[ClipMetadata], label_counts: Mapping[int, int]
) -> dict[str, I64]:
    """Indices of the clips with each number of kinds of sounding objects.

    It is the number of the clip's categories, else that of the classes in the labels of its scored frames.
    """
    counts = [
        str(len(set(clip.categories)) or label_counts.get(i, UNKNOWN)) for i, clip in enumerate(metadata)
    ]
    return {name: np.flatnonzero([one == name for one in counts]) for name in sorted(set(counts))}


def _count_labels(source: MaskSource, clips: AVDataset) -> int:
    """Number of labels to score; 0 where predictions or data have none."""
    known = source.classes
    if not known or not clips.classes:
        return 0
    if known != tuple(clips.classes):
        raise UsageError(
            f"{source.name} names {len(known)} classes, {clips.name} has {len(clips.classes)} others: "
            "use a model trained on this data set's classes, or one without a semantic head."
        )
    return len(known)


def _clip_scores(clips: AVDataset, accumulator: ScoreAccumulator) -> tuple[ClipScores, list[ClipMetadata]]:
    tables = {scoring: metric.table().by_clip() for scoring, metric in accumulator.metrics.items()}
    metadata = [clips.metadata(int(i)) for i in next(iter(tables.values())).clips]
    semantic = None if accumulator.semantic is None else accumulator.semantic.table()
    names = tuple(clip.name for clip in metadata)
    return ClipScores(names, tuple(clip.source for clip in metadata), tables, semantic), metadata


def _protocol_scores(
    protocols: Sequence[ScoringProtocol],
    clip_scores: ClipScores,
    metadata: Sequence[ClipMetadata],
    labels: Mapping[int, set[int]],
    *,
    seed: int,
    resamples: int,
) -> tuple[ProtocolScores, ...]:
    def score(groups: Mapping[str, I64]) -> list[tuple[GroupScores, ...]]:
        """Return the scores of all groups under each protocol."""
        rows = [_group_scores(name, r, protocols, clip_scores, seed, resamples) for name, r in groups.items()]
        return list(zip(*rows, strict=True)) or [()] * len(protocols)

    clips = next(iter(clip_scores.tables.values())).clips.tolist()
    label_counts = {i: len(labels[clip]) for i, clip in enumerate(clips) if clip in labels}
    overall = score({"all": np.arange(len(metadata))})
    categories = score(clips_by_category(metadata))
    objects = score(_clips_by_object_count(metadata, label_counts))
    columns = zip(protocols, overall, categories, objects, strict=True)
    return tuple(ProtocolScores(p, every, *groups) for p, (every,), *groups in columns)


def _group_scores(
    name: str,
    rows: I64,
    protocols: Sequence[ScoringProtocol],
    clip_scores: ClipScores,
    seed: int,
    resamples: int,
) -> list[GroupScores]:
    """Score a group of clips under each protocol, on the same drawn data sets."""
    sources = [clip_scores.sources[i] for i in rows.tolist()]
    draws = draw_clusters(sources, resamples, seed)
    found = []
    for protocol in protocols:
        part = clip_scores.tables[protocol.scoring].take(rows)
        scores: dict[MetricName, Estimate] = {
            metric: score_with_interval(partial(score_clips, part, protocol, metric), sources, draws)
            for metric in METRIC_NAMES
        }
        found.append(GroupScores(name, len(part), int(part.frames.sum()), scores))
    return found


def _semantic_scores(
    clips: AVDataset, clip_scores: ClipScores, *, seed: int, resamples: int
) -> SemanticScores | None:
    table = clip_scores.semantic
    if table is None or not len(table):
        return None
    sources = [clips.metadata(int(i)).source for i in table.clips]
    draws = draw_clusters(sources, resamples, seed)

    def score(metric: MetricName, subset: ClassSubset) -> Estimate:
        return score_with_interval(partial(score_semantic, table, metric, subset), sources, draws)

    return SemanticScores(
        classes=clips.classes,
        overall={
            subset: {metric: score(metric, subset) for metric in METRIC_NAMES} for subset in CLASS_SUBSETS
        },
        miou=tuple(class_scores(table, "miou").tolist()),
        f=tuple(class_scores(table, "f").tolist()),
        frames=tuple(int(n) for n in table.frames.sum(axis=0)),
    )
