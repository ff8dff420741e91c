"""Running a recipe: its stages one after another, each finished one skipped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from save_avs._extras import require
from save_avs.models import SAVE, SaveConfig
from save_avs.models.serialization import save_model
from save_avs.training.callbacks.base import Callback
from save_avs.training.callbacks.input_bound import DataWaitMonitor
from save_avs.training.callbacks.record import write_run_record
from save_avs.training.callbacks.report import write_report
from save_avs.training.callbacks.stage_record import StageRecorder
from save_avs.training.callbacks.trackers import TrackerCallback
from save_avs.training.checkpoint import load_moving, moving_state
from save_avs.training.distributed import DistributedContext
from save_avs.training.recipe import Recipe
from save_avs.training.setup import build_model, make_task, open_splits, stage_config, with_corpus_classes
from save_avs.training.stage import ClipStage, SyntheticStage
from save_avs.training.trainer import Trainer, TrainerOptions


def train(
    recipe: Recipe, callbacks: Sequence[Callback] = (), processes: DistributedContext | None = None
) -> Path:
    """Train every stage of a recipe, resuming where an earlier run stopped; returns the last model's folder.

    Raises:
        UsageError: when data or a base is missing, or a stage starts from a model that is not there.
        SaveAvsError: see ``Trainer.run``.
    """
    recipe = with_corpus_classes(recipe)
    for name in recipe.trackers:
        require(name, name)
    processes = processes or processes_of(recipe)
    callbacks = _watches(recipe, callbacks, processes) if processes.main else ()
    for stage in recipe.stages:
        done = recipe.out / stage.name / "model"
        if (done / "config.json").exists():
            _say(callbacks, f"{stage.name}: done already, in {done}")
            continue
        _train_stage(recipe, stage, callbacks, processes)
        if processes.main:
            write_report(recipe.out)
        processes.wait()  # the next stage may begin with this one's model
    return recipe.out / recipe.stages[-1].name / "model"


def _watches(recipe: Recipe, callbacks: Sequence[Callback], processes: DistributedContext) -> list[Callback]:
    """Who watches, with those that write into the run's folder; the record is written first."""
    write_run_record(recipe, processes=processes.count)
    say = partial(_say, callbacks)
    return [
        *callbacks,
        StageRecorder(recipe.out),
        TrackerCallback(recipe.out, recipe.trackers),
        DataWaitMonitor(say, workers=recipe.workers),
    ]


def _say(callbacks: Sequence[Callback], text: str) -> None:
    for callback in callbacks:
        callback.on_message(text)


def processes_of(recipe: Recipe) -> DistributedContext:
    """The processes that torchrun started, else this one alone, as a recipe wants them.

    Raises:
        UsageError: when the device is not here, or cannot train in this precision.
    """
    return DistributedContext(precision=recipe.precision, device=recipe.device, sharding=recipe.sharding)


def _train_stage(
    recipe: Recipe,
    stage: SyntheticStage | ClipStage,
    callbacks: Sequence[Callback],
    processes: DistributedContext,
) -> None:
    torch.manual_seed(stage.seed)
    splits = open_splits(stage, recipe.model.frontend) if isinstance(stage, ClipStage) else None
    config = stage_config(recipe.model, stage, splits)
    model = build_model(recipe, stage, config)
    folder = recipe.out / stage.name
    habits = TrainerOptions(
        workers=recipe.workers,
        checkpoint_interval_s=recipe.checkpoint_interval_s,
        keep_checkpoints=recipe.keep_checkpoints,
        non_finite=recipe.non_finite,
        bad_samples=recipe.bad_samples,
    )
    task = make_task(recipe, stage, model, splits)
    trainer = Trainer(task, stage, folder, processes=processes, habits=habits, callbacks=callbacks)
    figures = trainer.run()
    trainer.journal.say("done  " + "  ".join(f"{k} {v:.3f}" for k, v in figures.items()))
    if processes.sharding == "full":
        model = _whole(recipe, stage, config, model)
    if processes.main:
        save_model(model, config, folder / "model")


def _whole(recipe: Recipe, stage: SyntheticStage | ClipStage, config: SaveConfig, spread: SAVE) -> SAVE:
    """A model that is spread over processes as one that is not: built again, with what was trained."""
    model = build_model(recipe, stage, config)
    for own, other in zip(model.parameters(), spread.parameters(), strict=True):
        own.requires_grad_(other.requires_grad)
    load_moving(model, moving_state(spread))
    return model
