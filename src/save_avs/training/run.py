"""Running a recipe: its stages one after another, each finished one skipped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from save_avs.media.atomic import atomic_write
from save_avs.model import SAVE, SaveConfig
from save_avs.model.files import save_folder
from save_avs.training.checkpoint import load_moving, moving_state
from save_avs.training.loop import Habits, Trainer
from save_avs.training.prepare import build_model, make_task, open_splits, stage_config, with_heard_classes
from save_avs.training.processes import Processes
from save_avs.training.recipe import Recipe
from save_avs.training.stage import ClipStage, ComposedStage
from save_avs.training.watch import Watch


def train(recipe: Recipe, watches: Sequence[Watch] = (), processes: Processes | None = None) -> Path:
    """Train every stage of a recipe, resuming where an earlier run stopped; returns the last model's folder.

    Raises:
        UsageError: when data or a base is missing, or a stage starts from a model that is not there.
        SaveAvsError: see ``Trainer.run``.
    """
    recipe = with_heard_classes(recipe)
    processes = processes or processes_of(recipe)
    if processes.main:
        atomic_write(recipe.out / "recipe.json", recipe.model_dump_json(indent=2) + "\n")
    for stage in recipe.stages:
        done = recipe.out / stage.name / "model"
        if (done / "config.json").exists():
            for watch in watches:
                watch.said(f"{stage.name}: done already, in {done}")
            continue
        _train_stage(recipe, stage, watches, processes)
        processes.wait()  # the next stage may begin with this one's model
    return recipe.out / recipe.stages[-1].name / "model"


def processes_of(recipe: Recipe) -> Processes:
    """The processes that torchrun started, else this one alone, as a recipe wants them.

    Raises:
        UsageError: when the device is not here, or cannot train in this precision.
    """
    return Processes(precision=recipe.precision, device=recipe.device, sharding=recipe.sharding)


def _train_stage(
    recipe: Recipe, stage: ComposedStage | ClipStage, watches: Sequence[Watch], processes: Processes
) -> None:
    torch.manual_seed(stage.seed)
    splits = open_splits(stage) if isinstance(stage, ClipStage) else None
    config = stage_config(recipe.model, stage, splits)
    model = build_model(recipe, stage, config)
    folder = recipe.out / stage.name
    habits = Habits(
        workers=recipe.workers,
        checkpoint_s=recipe.checkpoint_s,
        keep=recipe.keep,
        non_finite=recipe.non_finite,
        bad_samples=recipe.bad_samples,
    )
    task = make_task(recipe, stage, model, splits)
    trainer = Trainer(task, stage, folder, processes=processes, habits=habits, watches=watches)
    figures = trainer.run()
    trainer.journal.say("done  " + "  ".join(f"{k} {v:.3f}" for k, v in figures.items()))
    if processes.sharding == "full":
        model = _whole(recipe, stage, config, model)
    if processes.main:
        save_folder(model, config, folder / "model")


def _whole(recipe: Recipe, stage: ComposedStage | ClipStage, config: SaveConfig, spread: SAVE) -> SAVE:
    """A model that is spread over processes as one that is not: built again, with what was trained."""
    model = build_model(recipe, stage, config)
    for own, other in zip(model.parameters(), spread.parameters(), strict=True):
        own.requires_grad_(other.requires_grad)
    load_moving(model, moving_state(spread))
    return model
