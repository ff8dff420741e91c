"""From scored trials to figures, differences and their tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce

import numpy as np

from save_avs.metrics import ClipTable, score_clips
from save_avs.metrics.bootstrap import (
    Difference,
    Estimate,
    draw_clusters,
    holm,
    paired_difference,
    score_with_interval,
)
from save_avs.metrics.mask_metrics import MetricName
from studies.few_shot.scores import PROTOCOL, TrialScores


@dataclass(frozen=True)
class Answers:
    """What one method answered after one number of shots: a row a clip, with its source and what sounds."""

    table: ClipTable
    sources: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """The answers of all trials.

    Attributes:
        trials: as they were scored.
        seed: what intervals and tests are drawn from.
    """

    trials: Sequence[TrialScores]
    seed: int = 0

    @property
    def methods(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.trials[0].tables)

    @cached_property
    def shots(self) -> tuple[int, ...]:
        """Numbers of examples, ascending."""
        return tuple(sorted({trial.shots for trial in self.trials}))

    def answers(self, method: str, shots: int) -> Answers:
        """All trials with so many shots, one after the other."""
        trials = [trial for trial in self.trials if trial.shots == shots]
        return Answers(
            reduce(ClipTable.join, (trial.tables[method] for trial in trials)),
            tuple(source for trial in trials for source in trial.sources),
            tuple(name for trial in trials for name in trial.classes),
        )

    def figure(self, method: str, shots: int, measure: MetricName = "miou") -> Estimate:
        """A score with its interval; its count is that of sources drawn: episodes, or videos."""
        answers = self.answers(method, shots)
        draws = draw_clusters(answers.sources, seed=self.seed)
        score = score_with_interval(
            partial(score_clips, answers.table, PROTOCOL, measure), answers.sources, draws
        )
        return _as_figure(score, answers.sources)

    def against(self, other: str) -> dict[tuple[str, int], Difference]:
        """How much better than another each method is after each number of shots; p corrected by Holm."""
        pairs = {
            (method, shots): ((other, shots), (method, shots))
            for method in self.methods
            if method != other
            for shots in self.shots
        }
        return self._differences(pairs)

    def gains(self) -> dict[tuple[str, int], Difference]:
        """What the shots bring each method, where the same was asked without any; p corrected by Holm."""
        if 0 not in self.shots:
            return {}
        asked = self.answers(self.methods[0], 0)
        pairs = {
            (method, shots): ((method, 0), (method, shots))
            for method in self.methods
            for shots in self.shots
            if shots and self._same(asked, self.answers(method, shots))
        }
        return self._differences(pairs)

    def by_class(self, shots: int) -> dict[str, dict[str, float]]:
        """The mIoU of each method on each class."""
        found: dict[str, dict[str, float]] = {}
        for method in self.methods:
            answers = self.answers(method, shots)
            for name in sorted(set(answers.classes)):
                part = answers.table.take(np.array([c == name for c in answers.classes]))
                found.setdefault(name, {})[method] = float(score_clips(part, PROTOCOL, "miou"))
        return found

    def seconds(self, method: str, shots: int) -> float:
        """What it took a method to make use of the examples, mean over trials."""
        return float(np.mean([t.seconds[method] for t in self.trials if t.shots == shots]))

    def _differences(
        self, pairs: Mapping[tuple[str, int], tuple[tuple[str, int], tuple[str, int]]]
    ) -> dict[tuple[str, int], Difference]:
        found = {key: self._difference(*pair) for key, pair in pairs.items()}
        corrected = holm([difference.p for difference in found.values()])
        return {
            key: Difference(d.value, d.low, d.high, p)
            for (key, d), p in zip(found.items(), corrected, strict=True)
        }

    def _difference(self, first: tuple[str, int], second: tuple[str, int]) -> Difference:
        ours, theirs = self.answers(*first), self.answers(*second)
        scorer = partial(score_clips, ours.table.join(theirs.table), PROTOCOL, "miou")
        draws = draw_clusters(ours.sources, seed=self.seed)
        return paired_difference(scorer, ours.sources, draws, seed=self.seed)

    @staticmethod
    def _same(one: Answers, other: Answers) -> bool:
        return one.sources == other.sources and np.array_equal(one.table.clips, other.table.clips)


def _as_figure(score: Estimate, sources: Sequence[str]) -> Estimate:
    return Estimate(score.value, score.low, score.high, len(set(sources)))
