"""What can be known of a recipe before it trains: what is wrong with it, and what it would take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import torch
from torch import nn

from save_avs._extras import require
from save_avs.datasets.base import AVDataset
from save_avs.errors import SaveAvsError
from save_avs.models import SAVE, SaveConfig, build_save
from save_avs.models.adapters import freeze_except
from save_avs.models.loading import resolve_device
from save_avs.models.pretrained_delta import load_base_weights
from save_avs.models.serialization import read_config
from save_avs.training.clip_dataset import annotated
from save_avs.training.distributed import check_precision
from save_avs.training.memory import estimate_memory
from save_avs.training.recipe import Recipe
from save_avs.training.schedule import clip_schedule
from save_avs.training.setup import Splits, init_model_folder, open_splits, stage_config, with_corpus_classes
from save_avs.training.stage import ClipStage, SyntheticStage

Result = TypeVar("Result")
OPENED = 3  # clips of a split that are read to see whether they can be


@dataclass
class RecipeReport:
    """What was found: ``problems`` keep a recipe from training; ``lines`` say what it would do."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def check_recipe(recipe: Recipe) -> RecipeReport:
    """Look at everything a recipe needs, without training: data, bases, starts, parts, memory.

    Tables of data sets are read, and a few clips of each split; bases are read whole and hashed.
    """
    found = RecipeReport()
    recipe = _attempt(found, "", lambda: with_corpus_classes(recipe)) or recipe
    _attempt(found, "device: ", lambda: check_precision(recipe.precision, resolve_device(recipe.device)))
    for name in recipe.trackers:
        _attempt(found, "", partial(require, name, name))
    parts = _attempt(
        found,
        "pretrained: ",
        lambda: load_base_weights(recipe.model, sam=recipe.pretrained.sam, audio=recipe.pretrained.audio),
    )
    _check_names(found, recipe)
    for i, stage in enumerate(recipe.stages):
        splits = _check_stage(found, recipe, i, None if parts is None else parts.audio)
        if parts is not None and isinstance(stage, ClipStage):
            _warn_of_random(found, recipe, stage)
        _describe(found, recipe, stage, splits)
    return found


def _attempt(found: RecipeReport, where: str, action: Callable[[], Result]) -> Result | None:
    """What an action returns; None, and a problem noted, when it raises an error of ours."""
    try:
        return action()
    except SaveAvsError as error:
        found.problems.append(f"{where}{error}")
        return None


def _check_names(found: RecipeReport, recipe: Recipe) -> None:
    names = [stage.name for stage in recipe.stages]
    found.problems += [
        f"stages: {name} is there twice" for name in sorted({n for n in names if names.count(n) > 1})
    ]


def _check_stage(found: RecipeReport, recipe: Recipe, i: int, audio: nn.Module | None) -> Splits | None:
    """Note what is wrong with a stage; its clips, where it has some that can be opened."""
    stage = recipe.stages[i]
    where = f"stage {stage.name}: "
    splits = None
    if isinstance(stage, ClipStage):
        splits = _attempt(found, where, lambda: open_splits(stage, recipe.model.frontend))
        if splits is not None:
            _attempt(found, where, lambda: _open_some(_with_features(splits, recipe, stage, audio)))
    if stage.init_from is not None:
        _check_start(found, recipe, i)
    return splits


def _with_features(splits: Splits, recipe: Recipe, stage: ClipStage, audio: nn.Module | None) -> Splits:
    """The clips with their features, where the stage has some and the backbone is at hand to tell whose."""
    if stage.data.features is None or audio is None:
        return splits
    return splits.with_features(stage.data.features, recipe.model.audio, audio)


def _open_some(splits: Splits) -> None:
    for clips in (splits.train, splits.val):
        for k in range(min(OPENED, len(clips))):
            annotated(clips[k])


def _check_start(found: RecipeReport, recipe: Recipe, i: int) -> None:
    """A stage starts from an earlier stage, or from a model that is there and stands on the same bases."""
    stage = recipe.stages[i]
    assert stage.init_from is not None
    names = [other.name for other in recipe.stages]
    if stage.init_from in names[:i]:
        return
    if stage.init_from in names[i:]:
        found.problems.append(f"stage {stage.name}: starts from {stage.init_from}, which comes no earlier")
        return
    start = stage.init_from
    _attempt(found, "", lambda: read_config(init_model_folder(recipe, stage.name, start)))


def _warn_of_random(found: RecipeReport, recipe: Recipe, stage: ClipStage) -> None:
    given = {"sam": recipe.pretrained.sam, "audio": recipe.pretrained.audio}
    missing = [f"pretrained.{name}" for name, path in given.items() if path is None]
    if stage.init_from is None and missing:
        found.warnings.append(
            f"stage {stage.name}: without {' and '.join(missing)} random weights are frozen"
        )


def _describe(
    found: RecipeReport, recipe: Recipe, stage: SyntheticStage | ClipStage, splits: Splits | None
) -> None:
    """Say what a stage would do: its clips and steps, what is trained, the memory of a step."""
    if isinstance(stage, ClipStage) and stage.semantic_weight and splits is None:
        return  # how many classes the model is to have is not known
    config = stage_config(recipe.model, stage, splits)
    try:
        model = _on_meta(config)
        trained = freeze_except(model, stage.trainable)
    except (ValueError, SaveAvsError) as error:
        found.problems.append(f"stage {stage.name}: {error}")
        return
    sizes = {name: p.numel() for name, p in model.named_parameters()}
    share = sum(sizes[name] for name in trained)
    rest = sum(sizes.values()) - share
    parts = ", ".join(f"{part} {_millions(_within(part, trained, sizes))}" for part in stage.trainable)
    found.lines += [
        f"stage {stage.name}: {_length(stage, splits)}",
        f"  {config.name} at {config.image_size} px: {_millions(sum(sizes.values()))} parameters, "
        f"{_millions(share)} trained ({parts}), {_millions(rest)} frozen",
    ]
    if stage.task in {"synthetic-avs", "avs"}:
        model.sam.image_encoder.activation_checkpointing = stage.activation_checkpointing
        memory = estimate_memory(
            model,
            frames=-(-_frames(stage, splits) // stage.grad_accum_steps),
            bf16=recipe.precision != "fp32",
            average=stage.ema_decay > 0,
        )
        found.lines.append(f"  memory of a step, an estimate: {memory}")


def _within(part: str, trained: list[str], sizes: dict[str, int]) -> int:
    """Parameters of a part that is called by a run of names with dots between them."""
    return sum(sizes[name] for name in trained if f".{part}." in f".{name}.")


def _on_meta(config: SaveConfig) -> SAVE:
    with torch.device("meta"):
        return build_save(config)


def _length(stage: SyntheticStage | ClipStage, splits: Splits | None) -> str:
    if isinstance(stage, SyntheticStage):
        return f"{stage.task}, {stage.steps} steps of {stage.batch_size} frames"
    if splits is None:
        return f"{stage.data.name}, which could not be opened"
    train, val = len(splits.train), len(splits.val)
    plan = clip_schedule(stage, train=train, val=val)
    return (
        f"{stage.data.name}, {train} clips in train, {val} in val; {train / stage.batch_size:.1f} steps of "
        f"{stage.batch_size} clips an epoch, {plan.steps} steps in all; validation after every "
        f"{plan.validate_every} on {plan.val_samples} clips"
    )


def _frames(stage: SyntheticStage | ClipStage, splits: Splits | None) -> int:
    """Frames of a step: of a clip stage, as many a clip as the first few have at most."""
    if isinstance(stage, SyntheticStage):
        return stage.batch_size
    return stage.batch_size * (1 if splits is None else _longest(splits.train))


def _longest(clips: AVDataset) -> int:
    lengths = [1]
    for k in range(min(OPENED, len(clips))):
        try:
            lengths.append(len(annotated(clips[k]).frames))
        except SaveAvsError:
            continue
    return max(lengths)


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"
