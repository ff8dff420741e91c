"""A rehearsal: every stage of a recipe for a few steps, everything used once, nothing kept."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from save_avs.training.callbacks.base import Callback
from save_avs.training.recipe import Recipe
from save_avs.training.run import processes_of, train
from save_avs.training.stage import ClipStage, SyntheticStage

STEPS = 2
CLIPS = 4  # of a validation


def fast_dev_train(recipe: Recipe, callbacks: Sequence[Callback] = ()) -> None:
    """Train, validate, checkpoint and save every stage in a folder beside the run's, which is removed.

    Raises:
        SaveAvsError: what the run itself would raise.
    """
    short = shorten_recipe(recipe)
    processes = processes_of(short)
    if processes.main:
        shutil.rmtree(short.out, ignore_errors=True)
    processes.wait()
    try:
        train(short, callbacks, processes)
    finally:
        if processes.main:
            shutil.rmtree(short.out, ignore_errors=True)


def shorten_recipe(recipe: Recipe) -> Recipe:
    """The recipe with stages of a few steps, a checkpoint after each, and an output of its own."""
    changes = {
        "out": recipe.out.with_name(f".{recipe.out.name}.rehearsal"),
        "stages": tuple(_short(stage) for stage in recipe.stages),
        "checkpoint_interval_s": 1e-6,
        "trackers": (),
    }
    return recipe.model_copy(update=changes)


def _short(stage: SyntheticStage | ClipStage) -> SyntheticStage | ClipStage:
    if isinstance(stage, SyntheticStage):
        frames = min(stage.val_samples, CLIPS * stage.views)
        return stage.model_copy(update={"steps": STEPS, "validate_every": 1, "val_samples": frames})
    clips = min(stage.val_samples or CLIPS, CLIPS)
    return stage.model_copy(update={"steps": STEPS, "epochs": None, "val_samples": clips})
