"""Running a recipe: its stages one after another, each finished one skipped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from save_avs.model import SAVE, SaveConfig
from save_avs.model.files import save_folder
from save_avs.training.checkpoint import load_moving, moving_state
from save_avs.training.loop import Habits, Trainer
from save_avs.training.prepare import build_model, make_task, open_splits, stage_config, with_heard_classes
from save_avs.training.processes import Processes
from save_avs.training.recipe import Recipe
from save_avs.training.stage import ClipStage, ComposedStage
from save_avs.training.watching.input_bound import InputBound
from save_avs.training.watching.record import write_record
from save_avs.training.watching.report import write_report
from save_avs.training.watching.stage_record import StageRecord
from save_avs.training.watching.trackers import Trackers, require_trackers
from save_avs.training.watching.watch import Watch


def train(recipe: Recipe, watches: Sequence[Watch] = (), processes: Processes | None = None) -> Path:
    """Train every stage of a recipe, resuming where an earlier run stopped; returns the last model's folder.

    Raises:
        UsageError: when data or a base is missing, or a stage starts from a model that is not there.
        SaveAvsError: see ``Trainer.run``.
    """
    recipe = with_heard_classes(recipe)
    require_trackers(recipe.trackers)
    processes = processes or processes_of(recipe)
    watches = _watches(recipe, watches, processes) if processes.main else ()
    for stage in recipe.stages:
        done = recipe.out / stage.name / "model"
        if (done / "config.json").exists():
            _say(watches, f"{stage.name}: done already, in {done}")
            continue
        _train_stage(recipe, stage, watches, processes)
        if processes.main:
            write_report(recipe.out)
        processes.wait()  # the next stage may begin with this one's model
    return recipe.out / recipe.stages[-1].name / "model"


def _watches(recipe: Recipe, watches: Sequence[Watch], processes: Processes) -> list[Watch]:
    """Who watches, with those that write into the run's folder; the record is written first."""
    write_record(recipe, processes=processes.count)
    say = partial(_say, watches)
    return [
        *watches,
        StageRecord(recipe.out),
        Trackers(recipe.out, recipe.trackers),
        InputBound(say, workers=recipe.workers),
    ]


def _say(watches: Sequence[Watch], text: str) -> None:
    for watch in watches:
        watch.said(text)


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
    splits = open_splits(stage, recipe.model.front_end) if isinstance(stage, ClipStage) else None
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
