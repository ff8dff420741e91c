"""Schedule of a stage: steps, validations and learning rate."""

import math
from dataclasses import dataclass

from save_avs.training.stage_config import ClipStage, SyntheticStage


@dataclass(frozen=True, kw_only=True)
class StageSchedule:
    """How long a stage trains and when it validates."""

    steps: int  # optimizer steps
    items_per_step: int  # items of the training stream per step
    validate_every: int  # steps between validations
    val_samples: int  # items per validation
    cache_validation: bool  # whether the validation batches are few enough to be kept in memory
    # validations without a better metric after which the stage ends early; None never ends it
    patience: int | None = None


def synthetic_schedule(stage: SyntheticStage, frames_per_item: int) -> StageSchedule:
    """Return the schedule of a stage that counts frames and steps."""
    return StageSchedule(
        steps=stage.steps,
        items_per_step=max(1, stage.batch_size // frames_per_item),
        validate_every=stage.validate_every,
        val_samples=stage.val_samples,
        cache_validation=True,
    )


def clip_schedule(stage: ClipStage, *, train: int, val: int) -> StageSchedule:
    """Return the schedule of a stage that counts epochs, of ``train`` clips or frames, and ``val`` clips."""
    steps_per_epoch = train / stage.items_per_step
    return StageSchedule(
        steps=stage.steps or math.ceil((stage.epochs or 0) * steps_per_epoch),
        items_per_step=stage.items_per_step,
        validate_every=max(1, round(stage.validate_every_epochs * steps_per_epoch)),
        val_samples=min(val, stage.val_samples or val),
        cache_validation=False,
        patience=stage.patience,
    )


def cosine_with_warmup(step: int, steps: int, warmup_steps: int, min_ratio: float = 0.01) -> float:
    """Return the factor on the peak learning rate: linear warmup, then cosine decay to ``min_ratio``."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return min_ratio + (1 - min_ratio) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
