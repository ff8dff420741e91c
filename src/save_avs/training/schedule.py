"""How long a stage takes, in what portions, and when it looks at itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from save_avs.training.stage import ClipStage, SyntheticStage


@dataclass(frozen=True, kw_only=True)
class StageSchedule:
    """A stage in numbers.

    Attributes:
        steps: optimizer steps.
        items: items of the stream a step.
        validate_every: steps between validations.
        val_samples: items of a validation.
        keep_validation: its batches are few enough to be kept in memory.
        patience: validations without a better figure after which the stage ends early; None goes on.
    """

    steps: int
    items: int
    validate_every: int
    val_samples: int
    keep_validation: bool
    patience: int | None = None


def synthetic_schedule(stage: SyntheticStage, frames_per_item: int) -> StageSchedule:
    """The plan of a stage that counts frames and steps."""
    return StageSchedule(
        steps=stage.steps,
        items=max(1, stage.batch_size // frames_per_item),
        validate_every=stage.validate_every,
        val_samples=stage.val_samples,
        keep_validation=True,
    )


def clip_schedule(stage: ClipStage, *, train: int, val: int) -> StageSchedule:
    """The plan of a stage that counts clips and epochs, given how many clips the splits have."""
    epoch = train / stage.batch_size  # steps
    steps = stage.steps or math.ceil((stage.epochs or 0) * epoch)
    return StageSchedule(
        steps=steps,
        items=stage.batch_size,
        validate_every=max(1, round(stage.validate_every_epochs * epoch)),
        val_samples=min(val, stage.val_samples or val),
        keep_validation=False,
        patience=stage.patience,
    )
