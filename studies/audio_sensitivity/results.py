"""Scores of a model in all trials, and the metrics computed from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from save_avs.metrics.bootstrap_and_permutation import Estimate, bootstrap_mean
from studies.audio_sensitivity import trials as conditions
from studies.audio_sensitivity.listening_score import SoundSwapScores, listening_score
from studies.audio_sensitivity.trials import SensitivityScore, TestFrame

WRONG_SOUNDS = (conditions.IN_VIEW, conditions.ABSENT, conditions.OTHER_CLIP)  # the most telling first
LEVELED = (conditions.SHIFTED, conditions.MIXED, conditions.MIXED_NOISE, conditions.DISTRACTORS)

Grouping = Callable[[TestFrame], Iterable[str]]


@dataclass(frozen=True)
class SensitivityResults:
    """A model's scores in all trials."""

    scores: tuple[SensitivityScore, ...]

    def wrong_sounds(self) -> tuple[str, ...]:
        """The kinds of wrong sound in the trials, the most telling first."""
        present = {s.condition for s in self.scores}
        return tuple(kind for kind in WRONG_SOUNDS if kind in present)

    def levels(self, condition: str) -> tuple[float, ...]:
        """The levels of a condition, in the order of the trials."""
        return tuple(dict.fromkeys(s.level for s in self.scores if s.condition == condition))

    def under(self, condition: str, level: float | None = None) -> tuple[SensitivityScore, ...]:
        """The scores under a condition, or under one level of it."""
        return tuple(s for s in self.scores if s.condition == condition and level in {None, s.level})

    def sound_swaps(self, wrong: str) -> SoundSwapScores:
        """The IoUs of the frames that have trials both with their own sound and with a wrong one."""
        own = {s.frame.name: s.own_iou for s in self.under(conditions.MATCHED)}
        swapped = self.under(wrong)
        return SoundSwapScores(
            np.array([own[s.frame.name] for s in swapped]),
            np.array([s.own_iou for s in swapped]),
            tuple(s.frame.source for s in swapped),
        )

    def listening(self, wrong: str, *, seed: int) -> Estimate:
        """The listening score for a kind of wrong sound."""
        return listening_score(self.sound_swaps(wrong), seed=seed)

    def grouped(self, grouping: Grouping) -> dict[str, SensitivityResults]:
        """The results by group; a frame may be in several groups, or in none."""
        names = sorted({name for s in self.scores for name in grouping(s.frame)})
        return {
            name: SensitivityResults(tuple(s for s in self.scores if name in grouping(s.frame)))
            for name in names
        }


def by_class(frame: TestFrame) -> tuple[str, ...]:
    """Classes of the sounding objects."""
    return frame.classes


def by_objects(frame: TestFrame) -> tuple[str, ...]:
    """Number of objects in view, where it is known."""
    return () if frame.in_view is None else (str(frame.in_view),)


def by_sources(frame: TestFrame) -> tuple[str, ...]:
    """Number of classes that sound, where they are known."""
    return (str(len(frame.classes)),) if frame.classes else ()


def mean_own_iou(scores: Sequence[SensitivityScore], *, seed: int) -> Estimate:
    """Mean IoU with the pixels of the frames' own sound."""
    return bootstrap_mean([s.own_iou for s in scores], [s.frame.source for s in scores], seed=seed)


def mean_iou(scores: Sequence[SensitivityScore], *, seed: int) -> Estimate:
    """Mean IoU with the target under the trial's sound."""
    return bootstrap_mean([s.iou for s in scores], [s.frame.source for s in scores], seed=seed)


def mean_area(scores: Sequence[SensitivityScore], *, seed: int) -> Estimate:
    """Mean share of the frame that is marked."""
    return bootstrap_mean([s.area for s in scores], [s.frame.source for s in scores], seed=seed)
