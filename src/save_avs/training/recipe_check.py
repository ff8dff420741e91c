"""Checks of a recipe before training: what is wrong with it, how long it trains, what memory it needs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from torch import nn

from save_avs.errors import SaveAvsError
from save_avs.models import build_save
from save_avs.models.freeze import freeze_except
from save_avs.models.pretrained import load_pretrained_parts
from save_avs.models.serialization import read_config
from save_avs.runtimes.loading import resolve_device
from save_avs.training.callbacks.trackers import require_trackers
from save_avs.training.clip_dataset import annotated
from save_avs.training.distributed import check_precision
from save_avs.training.memory_estimate import estimate_memory
from save_avs.training.recipe import Recipe
from save_avs.training.stage_config import ClipStage, Stage, SyntheticStage
from save_avs.training.stage_schedule import clip_schedule
from save_avs.training.stage_setup import (
    Splits,
    init_model_folder,
    items_per_epoch,
    open_splits,
    stage_config,
    with_corpus_classes,
)
from save_avs.weights.state_dict import on_meta_device

T = TypeVar("T")
SAMPLED = 3  # clips of a split that are read


@dataclass
class RecipeReport:
    """The result of a check: ``problems`` prevent training; ``lines`` describe it."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def attempt(self, prefix: str, action: Callable[[], T]) -> T | None:
        """Return the result of an action; None, and a problem recorded, when it raises an error of ours."""
        try:
            return action()
        except SaveAvsError as error:
            self.problems.append(f"{prefix}{error}")
            return None


def check_recipe(recipe: Recipe) -> RecipeReport:
    """Check everything a recipe needs, without training: data, pretrained weights, initial weights, memory.

    Tables of data sets are read, and a few clips of each split; pretrained weights are read and hashed.
    """
    report = RecipeReport()
    recipe = report.attempt("", lambda: with_corpus_classes(recipe)) or recipe
    report.attempt("device: ", lambda: check_precision(recipe.precision, resolve_device(recipe.device)))
    for name in recipe.trackers:
        report.attempt("", partial(require_trackers, (name,)))
    paths = dict(recipe.pretrained)
    parts = report.attempt("pretrained: ", lambda: load_pretrained_parts(recipe.model, **paths))
    names = [stage.name for stage in recipe.stages]
    report.problems += [
        f"stages: duplicate name {n}" for n in sorted({n for n in names if names.count(n) > 1})
    ]
    for i, stage in enumerate(recipe.stages):
        splits, frames = None, 1
        if isinstance(stage, ClipStage):
            splits, frames = _check_data(report, recipe, stage, None if parts is None else parts.audio)
        if stage.audio_from is not None:
            _check_init(report, recipe, i, stage.audio_from)
        if stage.init_from is not None:
            _check_init(report, recipe, i, stage.init_from)
        elif parts is not None and isinstance(stage, ClipStage):
            absent = () if recipe.model.stem else ("stem",)
            missing = [f"pretrained.{n}" for n, path in paths.items() if path is None and n not in absent]
            if missing:
                weights = " and ".join(missing)
                report.warnings.append(f"stage {stage.name}: without {weights} random weights are frozen")
        _describe(report, recipe, stage, splits, frames)
    return report


def _check_data(
    report: RecipeReport, recipe: Recipe, stage: ClipStage, audio: nn.Module | None
) -> tuple[Splits | None, int | None]:
    """Open the data of a stage and read some clips; returns it, and the most frames of a training clip."""
    prefix = f"stage {stage.name}: "
    splits = report.attempt(prefix, lambda: open_splits(stage, recipe.model.frontend))
    if splits is None or report.attempt(prefix, lambda: items_per_epoch(stage, splits.train)) is None:
        return None, None
    return splits, report.attempt(prefix, lambda: _read_some(splits, recipe, stage, audio))


def _read_some(splits: Splits, recipe: Recipe, stage: ClipStage, audio: nn.Module | None) -> int:
    if stage.data.features is not None and audio is not None:
        splits = splits.with_features(stage.data.features, recipe.model.audio, audio)
    lengths = [
        [len(annotated(clips[k]).frames) for k in range(min(SAMPLED, len(clips)))]
        for clips in (splits.train, splits.val)
    ]
    return max(lengths[0])


def _check_init(report: RecipeReport, recipe: Recipe, i: int, init_from: str) -> None:
    """Check that ``init_from`` is an earlier stage, or an existing model."""
    name, names = recipe.stages[i].name, [stage.name for stage in recipe.stages]
    if init_from in names[i:] and init_from not in names[:i]:
        report.problems.append(f"stage {name}: init_from={init_from} is not an earlier stage")
    elif init_from not in names:
        report.attempt("", lambda: read_config(init_model_folder(recipe, name, init_from)))


def _describe(
    report: RecipeReport, recipe: Recipe, stage: Stage, splits: Splits | None, frames: int | None
) -> None:
    """Describe a stage: its data and steps, what is trained, the memory of a step of ``frames`` per item."""
    if isinstance(stage, ClipStage) and stage.semantic_weight and splits is None:
        return  # the model's number of classes is not known
    config = stage_config(recipe.model, stage, splits)
    try:
        with on_meta_device():
            model = build_save(config)
        trained = freeze_except(model, stage.trainable)
    except (ValueError, SaveAvsError) as error:
        report.problems.append(f"stage {stage.name}: {error}")
        return
    sizes = {name: p.numel() for name, p in model.named_parameters()}
    in_all, in_trained = sum(sizes.values()), sum(sizes[name] for name in trained)
    parts = [
        f"{part} {_millions(sum(sizes[name] for name in trained if f'.{part}.' in f'.{name}.'))}"
        for part in stage.trainable
    ]
    report.lines += [
        f"stage {stage.name}: {_length(stage, splits)}",
        f"  {config.name} at {config.image_size} px: {_millions(in_all)} parameters, {_millions(in_trained)} "
        f"trained ({', '.join(parts)}), {_millions(in_all - in_trained)} frozen",
    ]
    if frames is not None and stage.task in {"synthetic-avs", "avs"}:
        model.sam.image_encoder.activation_checkpointing = stage.activation_checkpointing
        per_item = frames if isinstance(stage, ClipStage) and stage.batch_size else 1
        in_step = per_item * (stage.items_per_step if isinstance(stage, ClipStage) else stage.batch_size)
        memory = estimate_memory(
            model,
            frames=-(-in_step // stage.grad_accum_steps),
            mixed_precision=recipe.precision != "fp32",
            ema=stage.ema_decay > 0,
        )
        report.lines.append(f"  estimated memory of a step: {memory}")


def _length(stage: Stage, splits: Splits | None) -> str:
    if isinstance(stage, SyntheticStage):
        return f"{stage.task}, {stage.steps} steps of {stage.batch_size} frames"
    if splits is None:
        return f"{stage.data.name}, which could not be opened"
    train, val = len(splits.train), len(splits.val)
    items, unit = items_per_epoch(stage, splits.train), "clips" if stage.batch_size else "frames"
    schedule = clip_schedule(stage, train=items, val=val)
    return (
        f"{stage.data.name}, {train} training and {val} validation clips; "
        f"{items / stage.items_per_step:.1f} steps of {stage.items_per_step} {unit} per epoch, "
        f"{schedule.steps} steps in all; validation "
        f"every {schedule.validate_every} steps on {schedule.val_samples} clips"
    )


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"
