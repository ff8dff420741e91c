"""Pictures to look at: one scene under several sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from save_avs.inference.predictor import FrameModel
from save_avs.types import U8, Bool
from studies.audio_sensitivity import trials as kinds
from studies.audio_sensitivity.trials import Trial, masks

_SHOWN = (
    (kinds.MATCHED, None),
    (kinds.IN_VIEW, None),
    (kinds.ABSENT, None),
    (kinds.OTHER_CLIP, None),
    (kinds.MIXED, 0.0),
    (kinds.MIXED_NOISE, 0.0),
    (kinds.MUTED, None),
)


@dataclass(frozen=True)
class Example:
    """A picture, and what was marked in it under each sound: (what was heard, mask)."""

    picture: U8
    pictures: tuple[tuple[str, Bool], ...]


def example_of(model: FrameModel, trials: Sequence[Trial]) -> Example | None:
    """What a model marks in one picture under each sound; None where no wrong sound of a thing was tried."""
    chosen = [
        trial
        for condition, level in _SHOWN
        for trial in trials
        if trial.condition == condition and level in {None, trial.level}
    ]
    tried = {trial.condition for trial in chosen}
    if kinds.MATCHED not in tried or not tried & {kinds.IN_VIEW, kinds.OTHER_CLIP}:
        return None
    said = [_said(trial) for trial in chosen]
    return Example(trials[0].picture, tuple(zip(said, masks(model, chosen), strict=True)))


def _said(trial: Trial) -> str:
    if trial.condition in {kinds.MIXED, kinds.MIXED_NOISE}:
        return f"{trial.condition.removeprefix('mixed ')}, {trial.level:g} dB"
    called = {kinds.MATCHED: "own", kinds.IN_VIEW: "in view"}.get(trial.condition, trial.condition)
    return f"{called}: {trial.sound}" if trial.sound else called
