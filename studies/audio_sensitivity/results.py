"""All that a model answered, and the figures made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from save_avs.metrics.bootstrap import Estimate, draw_clusters, score_with_interval
from save_avs.metrics.listening_score import SoundSwapScores, listening_score
from save_avs.metrics.mask_metrics import clip_draw_counts
from save_avs.types import F64, I64
from studies.audio_sensitivity import trials as kinds
from studies.audio_sensitivity.trials import Answer, Item

WRONG = (kinds.IN_VIEW, kinds.ABSENT, kinds.OTHER_CLIP)  # wrong sounds, the most telling first
DEGREES = (kinds.SHIFTED, kinds.MIXED, kinds.MIXED_NOISE, kinds.DISTRACTORS)

Group = Callable[[Item], Iterable[str]]


@dataclass(frozen=True)
class Results:
    """What a model made of every trial."""

    answers: tuple[Answer, ...]

    def wrong_sounds(self) -> tuple[str, ...]:
        """The kinds of wrong sound that were tried, the most telling first."""
        tried = {a.condition for a in self.answers}
        return tuple(kind for kind in WRONG if kind in tried)

    def levels(self, condition: str) -> tuple[float, ...]:
        """The degrees of a condition, in the order they were tried."""
        return tuple(dict.fromkeys(a.level for a in self.answers if a.condition == condition))

    def under(self, condition: str, level: float | None = None) -> tuple[Answer, ...]:
        """The answers under one condition, or under one degree of it."""
        return tuple(a for a in self.answers if a.condition == condition and level in {None, a.level})

    def hearings(self, wrong: str) -> SoundSwapScores:
        """The frames heard both with their own sound and with a wrong one."""
        own = {a.item.name: a.own for a in self.under(kinds.MATCHED)}
        pairs = self.under(wrong)
        return SoundSwapScores(
            np.array([own[a.item.name] for a in pairs]),
            np.array([a.own for a in pairs]),
            tuple(a.item.source for a in pairs),
        )

    def grouped(self, group: Group) -> dict[str, Results]:
        """The results by what `group` says of each frame; a frame may be in several, or in none."""
        names = sorted({name for a in self.answers for name in group(a.item)})
        return {name: Results(tuple(a for a in self.answers if name in group(a.item))) for name in names}


def by_class(item: Item) -> tuple[str, ...]:
    """Every class that sounds in a frame."""
    return item.classes


def by_objects(item: Item) -> tuple[str, ...]:
    """How many things are in view, where that is known."""
    return () if item.in_view is None else (str(item.in_view),)


def by_sources(item: Item) -> tuple[str, ...]:
    """How many classes sound in a frame, where they are known."""
    return (str(len(item.classes)),) if item.classes else ()


def mean_of(values: Sequence[float], sources: Sequence[str], *, seed: int) -> Estimate:
    """Mean of the values that are not NaN, with its interval over sources."""
    known = ~np.isnan(np.asarray(values, np.float64))
    kept = np.asarray(values, np.float64)[known]
    if not len(kept):
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    of = [s for s, k in zip(sources, known, strict=True) if k]

    def mean(rows: I64) -> F64:
        weights = clip_draw_counts(rows, len(kept))
        return (weights @ kept) / weights.sum(axis=1)

    return as_figure(score_with_interval(mean, of, draw_clusters(of, seed=seed)), len(kept))


def mean_own(answers: Sequence[Answer], *, seed: int) -> Estimate:
    """Mean IoU with what sounds in the frames' own sound."""
    return mean_of([a.own for a in answers], [a.item.source for a in answers], seed=seed)


def mean_heard(answers: Sequence[Answer], *, seed: int) -> Estimate:
    """Mean IoU with what should be marked under the sound that was heard."""
    return mean_of([a.heard for a in answers], [a.item.source for a in answers], seed=seed)


def mean_area(answers: Sequence[Answer], *, seed: int) -> Estimate:
    """Mean share of the picture that is marked."""
    return mean_of([a.area for a in answers], [a.item.source for a in answers], seed=seed)


def listening(results: Results, wrong: str, *, seed: int) -> Estimate:
    """The listening score under a kind of wrong sound."""
    hearings = results.hearings(wrong)
    return as_figure(listening_score(hearings, seed=seed), len(hearings))


def as_figure(score: Estimate, count: int) -> Estimate:
    """A score as a cell of a report."""
    return Estimate(score.value, score.low, score.high, count)
