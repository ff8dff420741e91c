"""How long a stage takes, in what portions, and when it looks at itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from save_avs.training.stage import ClipStage, ComposedStage


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A stage in numbers.

    Attributes:
        steps: optimiser steps.
        items: items of the stream a step.
        validate_every: steps between validations.
        validate_on: items of a validation.
        keep_validation: its batches are few enough to be kept in memory.
        patience: validations without a better figure after which the stage ends early; None goes on.
    """

    steps: int
    items: int
    validate_every: int
    validate_on: int
    keep_validation: bool
    patience: int | None = None


def plan_composed(stage: ComposedStage, frames_per_item: int) -> Plan:
    """The plan of a stage that counts frames and steps."""
    return Plan(
        steps=stage.steps,
        items=max(1, stage.batch // frames_per_item),
        validate_every=stage.validate_every,
        validate_on=stage.validate_on,
        keep_validation=True,
    )


def plan_clips(stage: ClipStage, *, train: int, val: int) -> Plan:
    """The plan of a stage that counts clips and epochs, given how many clips the splits have."""
    epoch = train / stage.batch_clips  # steps
    steps = stage.steps or math.ceil((stage.epochs or 0) * epoch)
    return Plan(
        steps=steps,
        items=stage.batch_clips,
        validate_every=max(1, round(stage.validate_epochs * epoch)),
        validate_on=min(val, stage.validate_on or val),
        keep_validation=False,
        patience=stage.patience,
    )
