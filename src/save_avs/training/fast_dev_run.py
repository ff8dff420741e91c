"""A fast development run: every stage of a recipe for a few steps, everything used once, nothing kept."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from save_avs.training.callbacks.callback import Callback
from save_avs.training.recipe import Recipe
from save_avs.training.run_recipe import distributed_context, train
from save_avs.training.stage import ClipStage, SyntheticStage

STEPS = 2
VAL_CLIPS = 4


def fast_dev_train(recipe: Recipe, callbacks: Sequence[Callback] = ()) -> None:
    """Train, validate, checkpoint and save every stage in a folder next to the run's, which is removed.

    Raises:
        SaveAvsError: what the run itself would raise.
    """
    short = shorten_recipe(recipe)
    distributed = distributed_context(short)
    if distributed.is_main:
        shutil.rmtree(short.out, ignore_errors=True)
    distributed.barrier()
    try:
        train(short, callbacks, distributed)
    finally:
        if distributed.is_main:
            shutil.rmtree(short.out, ignore_errors=True)


def shorten_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe with a few steps per stage, a checkpoint after each, and its own output folder."""
    changes = {
        "out": recipe.out.with_name(f".{recipe.out.name}.fast-dev-run"),
        "stages": tuple(_shorten(stage) for stage in recipe.stages),
        "checkpoint_interval_s": 1e-6,
        "trackers": (),
    }
    return recipe.model_copy(update=changes)


def _shorten(stage: SyntheticStage | ClipStage) -> SyntheticStage | ClipStage:
    if isinstance(stage, SyntheticStage):
        frames = min(stage.val_samples, VAL_CLIPS * stage.views)
        return stage.model_copy(update={"steps": STEPS, "validate_every": 1, "val_samples": frames})
    clips = min(stage.val_samples or VAL_CLIPS, VAL_CLIPS)
    return stage.model_copy(update={"steps": STEPS, "epochs": None, "val_samples": clips})
