"""A rehearsal: every stage of a recipe for a few steps, everything used once, nothing kept."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from save_avs.training.recipe import Recipe
from save_avs.training.run import processes_of, train
from save_avs.training.stage import ClipStage, ComposedStage
from save_avs.training.watching.watch import Watch

STEPS = 2
CLIPS = 4  # of a validation


def rehearse(recipe: Recipe, watches: Sequence[Watch] = ()) -> None:
    """Train, validate, checkpoint and save every stage in a folder beside the run's, which is removed.

    Raises:
        SaveAvsError: what the run itself would raise.
    """
    short = shortened(recipe)
    processes = processes_of(short)
    if processes.main:
        shutil.rmtree(short.out, ignore_errors=True)
    processes.wait()
    try:
        train(short, watches, processes)
    finally:
        if processes.main:
            shutil.rmtree(short.out, ignore_errors=True)


def shortened(recipe: Recipe) -> Recipe:
    """The recipe with stages of a few steps, a checkpoint after each, and an output of its own."""
    changes = {
        "out": recipe.out.with_name(f".{recipe.out.name}.rehearsal"),
        "stages": tuple(_short(stage) for stage in recipe.stages),
        "checkpoint_s": 1e-6,
        "trackers": (),
    }
    return recipe.model_copy(update=changes)


def _short(stage: ComposedStage | ClipStage) -> ComposedStage | ClipStage:
    if isinstance(stage, ComposedStage):
        frames = min(stage.validate_on, CLIPS * stage.views)
        return stage.model_copy(update={"steps": STEPS, "validate_every": 1, "validate_on": frames})
    clips = min(stage.validate_on or CLIPS, CLIPS)
    return stage.model_copy(update={"steps": STEPS, "epochs": None, "validate_on": clips})
