"""Running a recipe: its stages one after another, each finished one skipped."""

from __future__ import annotations

from pathlib import Path

import torch

from save_avs.data.corpus import sounding_classes
from save_avs.errors import UsageError
from save_avs.media.atomic import atomic_write
from save_avs.model.build import build_save
from save_avs.model.config import SaveConfig
from save_avs.model.files import continue_from, save_folder
from save_avs.model.loading import find_model, resolve_device
from save_avs.training.loop import Report, Trainer
from save_avs.training.recipe import Recipe, Stage
from save_avs.training.tasks import TASKS


def train(recipe: Recipe, report: Report = print) -> Path:
    """Train every stage of a recipe, resuming where an earlier run stopped; returns the last model's folder.

    Raises:
        UsageError: when the corpus is missing or a stage starts from one that is not there.
    """
    classes = sounding_classes(recipe.corpus, "train")
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"classes": classes})})
    atomic_write(recipe.out / "recipe.json", recipe.model_dump_json(indent=2) + "\n")
    for stage in recipe.stages:
        done = recipe.out / stage.name / "model"
        if (done / "config.json").exists():
            report(f"{stage.name}: done already, in {done}")
            continue
        _train_stage(recipe, stage, report)
    return recipe.out / recipe.stages[-1].name / "model"


def _train_stage(recipe: Recipe, stage: Stage, report: Report) -> None:
    torch.manual_seed(stage.seed)
    config = stage_config(recipe.model, stage)
    model = build_save(config)
    if stage.start is not None:
        continue_from(model, config, _start_folder(recipe, stage.name, stage.start))
    task = TASKS[stage.task](model, stage, recipe.corpus, config.image_size)
    folder = recipe.out / stage.name
    trainer = Trainer(
        task,
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


def _start_folder(recipe: Recipe, stage: str, start: str) -> Path:
    """The model of an earlier stage of this run, else a bundled model or a model folder."""
    earlier = recipe.out / start / "model"
    if earlier.is_dir():
        return earlier
    try:
        return find_model(start)
    except UsageError as error:
        raise UsageError(f"stage {stage} starts from {start}, which has no model in {earlier}") from error


def stage_config(model: SaveConfig, stage: Stage) -> SaveConfig:
    """The model as this stage builds it: without image adapters before the scenes."""
    changes: dict[str, object] = {"image_size": stage.image_size or model.image_size}
    if stage.task != "scenes":
        changes["image_adapter"] = None
    return model.model_copy(update=changes)
