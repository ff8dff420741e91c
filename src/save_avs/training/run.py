"""Running a recipe: its stages one after another, each finished one skipped."""

from __future__ import annotations

from pathlib import Path

import torch

from save_avs.media.atomic import atomic_write
from save_avs.model.files import save_folder
from save_avs.model.loading import resolve_device
from save_avs.training.loop import Report, Trainer
from save_avs.training.prepare import build_model, make_task, open_splits, stage_config, with_heard_classes
from save_avs.training.recipe import Recipe
from save_avs.training.stage import ClipStage, ComposedStage


def train(recipe: Recipe, report: Report = print) -> Path:
    """Train every stage of a recipe, resuming where an earlier run stopped; returns the last model's folder.

    Raises:
        UsageError: when data or a base is missing, or a stage starts from a model that is not there.
    """
    recipe = with_heard_classes(recipe)
    atomic_write(recipe.out / "recipe.json", recipe.model_dump_json(indent=2) + "\n")
    for stage in recipe.stages:
        done = recipe.out / stage.name / "model"
        if (done / "config.json").exists():
            report(f"{stage.name}: done already, in {done}")
            continue
        _train_stage(recipe, stage, report)
    return recipe.out / recipe.stages[-1].name / "model"


def _train_stage(recipe: Recipe, stage: ComposedStage | ClipStage, report: Report) -> None:
    torch.manual_seed(stage.seed)
    splits = open_splits(stage) if isinstance(stage, ClipStage) else None
    config = stage_config(recipe.model, stage, splits)
    model = build_model(recipe, stage, config)
    folder = recipe.out / stage.name
    trainer = Trainer(
        make_task(recipe, stage, model, splits),
        stage,
        folder,
        bf16=recipe.precision == "bf16",
        workers=recipe.workers,
        checkpoint_s=recipe.checkpoint_s,
        report=report,
        device=resolve_device(recipe.device),
    )
    figures = trainer.run()
    report(f"{stage.name}: done  " + "  ".join(f"{k} {v:.3f}" for k, v in figures.items()))
    save_folder(model, config, folder / "model")
