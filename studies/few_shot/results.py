"""Scores of trials, saved in files so that a study can resume, and the metrics computed from them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial, reduce
from pathlib import Path
from typing import Self

import numpy as np
import torch

from save_avs._files import atomic_path
from save_avs.evaluation.accumulator import ScoreAccumulator
from save_avs.evaluation.forward import ModelOutputs
from save_avs.metrics.bootstrap_and_permutation import (
    Difference,
    Estimate,
    draw_clusters,
    paired_difference,
    score_with_interval,
)
from save_avs.metrics.mask_metrics import ClipTable, MetricName, score_clips
from save_avs.metrics.protocols import PROTOCOLS
from studies.few_shot.episodes import FewShotTrial
from studies.few_shot.methods import Method
from studies.few_shot.training import predict
from studies.statistics import correct_differences

PROTOCOL = PROTOCOLS["dataset"]
_COLUMNS = tuple(column.name for column in fields(ClipTable))


@dataclass(frozen=True)
class FewShotScores:
    """Scores of a trial.

    Attributes:
        shots: examples per class.
        sources: unit of resampling of each query clip.
        classes: sounding class of each.
        tables: of each method, a row per clip.
        seconds: of each method, to adapt to the examples.
    """

    shots: int
    sources: tuple[str, ...]
    classes: tuple[str, ...]
    tables: Mapping[str, ClipTable]
    seconds: Mapping[str, float]

    def save(self, path: Path) -> None:
        """Write an .npz file atomically."""
        arrays = {f"{m}.{c}": getattr(table, c) for m, table in self.tables.items() for c in _COLUMNS}
        arrays |= {f"{m}.seconds": np.array(value) for m, value in self.seconds.items()}
        with atomic_path(path) as part:
            np.savez_compressed(
                part,
                allow_pickle=False,
                shots=np.array(self.shots),
                sources=np.array(self.sources),
                classes=np.array(self.classes),
                **arrays,
            )

    @classmethod
    def load(cls, path: Path, methods: Mapping[str, Method]) -> Self:
        """Read an .npz file."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                shots=int(arrays["shots"]),
                sources=tuple(arrays["sources"].tolist()),
                classes=tuple(arrays["classes"].tolist()),
                tables={m: ClipTable(*(arrays[f"{m}.{c}"] for c in _COLUMNS)) for m in methods},
                seconds={m: float(arrays[f"{m}.seconds"]) for m in methods},
            )


def score_trial(trial: FewShotTrial, methods: Mapping[str, Method], seed: int) -> FewShotScores:
    """Adapt every method to the examples, then score all of them on the same frames."""
    networks, seconds, accumulators = {}, {}, {}
    for name, method in methods.items():
        start = time.monotonic()
        networks[name] = network = method.adapt(trial.examples, seed)
        seconds[name] = time.monotonic() - start
        accumulators[name] = ScoreAccumulator([PROTOCOL.scoring], image_size=network.image_size)
    for frames in trial.queries():
        batch = frames.batch()
        for name, network in networks.items():
            with torch.inference_mode():
                masks = predict(network, frames)[:, 0]
                accumulators[name].add(batch, ModelOutputs(masks, None, network.resize))
    tables = {name: a.metrics[PROTOCOL.scoring].table().by_clip() for name, a in accumulators.items()}
    clips = next(iter(tables.values())).clips.tolist()
    return FewShotScores(
        shots=trial.shots,
        sources=tuple(trial.source(clip) for clip in clips),
        classes=tuple(trial.category(clip) for clip in clips),
        tables=tables,
        seconds=seconds,
    )


@dataclass(frozen=True)
class MethodScores:
    """Scores of one method with one number of shots: a row per clip, with its source and class."""

    table: ClipTable
    sources: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class FewShotResults:
    """Scores of all trials.

    Attributes:
        trials: their scores.
        seed: of intervals and tests.
    """

    trials: Sequence[FewShotScores]
    seed: int = 0

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods."""
        return tuple(self.trials[0].tables)

    @cached_property
    def shots(self) -> tuple[int, ...]:
        """Numbers of examples, ascending."""
        return tuple(sorted({trial.shots for trial in self.trials}))

    def scores(self, method: str, shots: int) -> MethodScores:
        """Join all trials with a number of shots."""
        trials = [trial for trial in self.trials if trial.shots == shots]
        return MethodScores(
            reduce(ClipTable.join, (trial.tables[method] for trial in trials)),
            tuple(source for trial in trials for source in trial.sources),
            tuple(name for trial in trials for name in trial.classes),
        )

    def estimate(self, method: str, shots: int, metric: MetricName = "miou") -> Estimate:
        """A metric with its interval; its count is the number of sources."""
        scores = self.scores(method, shots)
        draws = draw_clusters(scores.sources, seed=self.seed)
        scorer = partial(score_clips, scores.table, PROTOCOL, metric)
        estimate = score_with_interval(scorer, scores.sources, draws)
        return replace(estimate, count=len(set(scores.sources)))

    def differences_from(self, reference: str) -> dict[tuple[str, int], Difference]:
        """Difference of each method from a reference, by number of shots; p corrected by Holm."""
        return correct_differences(
            {
                (method, shots): self._difference((reference, shots), (method, shots))
                for method in self.methods
                if method != reference
                for shots in self.shots
            }
        )

    def gains(self) -> dict[tuple[str, int], Difference]:
        """Gain of each method from examples, if its queries are those at zero shots; p corrected by Holm."""
        if 0 not in self.shots:
            return {}
        zero = self.scores(self.methods[0], 0)
        return correct_differences(
            {
                (method, shots): self._difference((method, 0), (method, shots))
                for method in self.methods
                for shots in self.shots
                if shots and _same_queries(zero, self.scores(method, shots))
            }
        )

    def by_class(self, shots: int) -> dict[str, dict[str, float]]:
        """The mIoU of each class and method."""
        found: dict[str, dict[str, float]] = {}
        for method in self.methods:
            scores = self.scores(method, shots)
            for name in sorted(set(scores.classes)):
                part = scores.table.take(np.array([c == name for c in scores.classes]))
                found.setdefault(name, {})[method] = float(score_clips(part, PROTOCOL, "miou"))
        return found

    def seconds(self, method: str, shots: int) -> float:
        """Mean time to adapt to the examples."""
        return float(np.mean([t.seconds[method] for t in self.trials if t.shots == shots]))

    def _difference(self, first: tuple[str, int], second: tuple[str, int]) -> Difference:
        ours, theirs = self.scores(*first), self.scores(*second)
        scorer = partial(score_clips, ours.table.join(theirs.table), PROTOCOL, "miou")
        draws = draw_clusters(ours.sources, seed=self.seed)
        return paired_difference(scorer, ours.sources, draws, seed=self.seed)


def _same_queries(one: MethodScores, other: MethodScores) -> bool:
    return one.sources == other.sources and np.array_equal(one.table.clips, other.table.clips)
