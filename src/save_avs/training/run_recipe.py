"""Running a recipe: its stages one after another, finished ones skipped; or a few steps of each."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from save_avs.models import SAVE, SaveConfig
from save_avs.models.serialization import save_model
from save_avs.training.callbacks.callback import Callback
from save_avs.training.callbacks.data_wait import DataWaitMonitor
from save_avs.training.callbacks.stage_recorder import StageRecorder
from save_avs.training.callbacks.trackers import TrackerCallback, require_trackers
from save_avs.training.checkpoint import load_trained_state, trained_state
from save_avs.training.distributed import DistributedContext
from save_avs.training.recipe import Recipe
from save_avs.training.run_record import write_run_record
from save_avs.training.run_report import write_report
from save_avs.training.stage_config import ClipStage, Stage, SyntheticStage
from save_avs.training.stage_setup import (
    build_model,
    make_task,
    open_splits,
    stage_config,
    with_corpus_classes,
)
from save_avs.training.trainer import Trainer

FAST_DEV_STEPS = 2
FAST_DEV_CLIPS = 4


def train(
    recipe: Recipe, callbacks: Sequence[Callback] = (), distributed: DistributedContext | None = None
) -> Path:
    """Train every stage of a recipe, resuming an interrupted run; returns the last model's folder."""
    recipe = with_corpus_classes(recipe)
    require_trackers(recipe.trackers)
    distributed = distributed or distributed_context(recipe)
    callbacks = _with_record(recipe, callbacks, distributed) if distributed.is_main else ()
    for stage in recipe.stages:
        model = recipe.out / stage.name / "model"
        if (model / "config.json").exists():
            for callback in callbacks:
                callback.on_message(f"{stage.name}: already trained, in {model}")
            continue
        _train_stage(recipe, stage, callbacks, distributed)
        if distributed.is_main:
            write_report(recipe.out)
        distributed.barrier()  # the next stage may start from this one's model
    return recipe.out / recipe.stages[-1].name / "model"


def _with_record(
    recipe: Recipe, callbacks: Sequence[Callback], distributed: DistributedContext
) -> list[Callback]:
    """Write the run record, and add the callbacks that write into the run's folder."""
    write_run_record(recipe, processes=distributed.world_size)

    def message(text: str) -> None:
        for callback in callbacks:
            callback.on_message(text)

    return [
        *callbacks,
        StageRecorder(recipe.out),
        TrackerCallback(recipe.out, recipe.trackers),
        DataWaitMonitor(message, workers=recipe.workers),
    ]


def distributed_context(recipe: Recipe) -> DistributedContext:
    """Return the context for the device, precision and sharding of a recipe."""
    return DistributedContext(precision=recipe.precision, device=recipe.device, sharding=recipe.sharding)


def _train_stage(
    recipe: Recipe, stage: Stage, callbacks: Sequence[Callback], distributed: DistributedContext
) -> None:
    torch.manual_seed(stage.seed)
    splits = open_splits(stage, recipe.model.frontend) if isinstance(stage, ClipStage) else None
    config = stage_config(recipe.model, stage, splits)
    model = build_model(recipe, stage, config)
    task = make_task(recipe, stage, model, splits)
    folder = recipe.out / stage.name
    trainer = Trainer(task, stage, folder, distributed=distributed, options=recipe, callbacks=callbacks)
    metrics = trainer.run()
    trainer.logger.message("done  " + "  ".join(f"{k} {v:.3f}" for k, v in metrics.items()))
    if distributed.sharded:
        model = _unshard(recipe, stage, config, model)
    if distributed.is_main:
        save_model(model, folder / "model")


def _unshard(recipe: Recipe, stage: Stage, config: SaveConfig, sharded: SAVE) -> SAVE:
    """Return a sharded model in full: built again, with what was trained."""
    model = build_model(recipe, stage, config)
    for own, other in zip(model.parameters(), sharded.parameters(), strict=True):
        own.requires_grad_(other.requires_grad)
    load_trained_state(model, trained_state(sharded))
    return model


def fast_dev_train(recipe: Recipe, callbacks: Sequence[Callback] = ()) -> None:
    """Train, validate, checkpoint and save every stage in a folder next to the run's, which is removed."""
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
        "checkpoint_interval_s": 0.0,
        "trackers": (),
    }
    return recipe.model_copy(update=changes)


def _shorten(stage: Stage) -> Stage:
    if isinstance(stage, SyntheticStage):
        frames = min(stage.val_samples, FAST_DEV_CLIPS * stage.views)
        return stage.model_copy(update={"steps": FAST_DEV_STEPS, "validate_every": 1, "val_samples": frames})
    clips = min(stage.val_samples or FAST_DEV_CLIPS, FAST_DEV_CLIPS)
    return stage.model_copy(update={"steps": FAST_DEV_STEPS, "epochs": None, "val_samples": clips})
