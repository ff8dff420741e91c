"""Setup of a stage: from its config to data, model and task."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

from torch import nn

from save_avs.audio.frontend import Frontend
from save_avs.datasets import open_dataset
from save_avs.datasets.feature_cache import backbone_identity, with_features
from save_avs.datasets.image_and_video_clips import ClipDataset
from save_avs.datasets.registry import resolve_spec
from save_avs.errors import UsageError
from save_avs.models import SAVE, SaveConfig, build_from_pretrained
from save_avs.models.config import SemanticConfig
from save_avs.models.serialization import init_audio_from_folder, init_from_folder
from save_avs.runtimes.loading import find_model_folder
from save_avs.synthesis.corpus import sounding_classes
from save_avs.training.avs_task import AVSegmentationTask
from save_avs.training.clip_dataset import count_annotated
from save_avs.training.recipe import Recipe
from save_avs.training.stage_config import ClipStage, DatasetConfig, Stage, SyntheticStage
from save_avs.training.tasks import TASKS, Task


class Splits(NamedTuple):
    """The clips that a stage trains on, and those that it validates on."""

    train: ClipDataset
    val: ClipDataset

    def with_features(self, cache: Path, name: str, backbone: nn.Module) -> Splits:
        """Return the same clips with the cached features of an audio backbone."""
        identity = backbone_identity(name, backbone)
        return Splits(*(with_features(clips, cache, backbone=identity) for clips in (self.train, self.val)))


def open_splits(stage: ClipStage, frontend: Frontend) -> Splits:
    """Open the data set of a stage for an audio front-end; only its tables are read.

    A UsageError if it is missing, a split has no clip, or it lacks the classes of a semantic stage.
    """
    data = stage.data
    train, val = (open_dataset(data.name, data.root, part, frontend=frontend) for part in ("train", "val"))
    for clips in (train, val):
        if not len(clips):
            raise UsageError(f"{data.name} in {data.root} has no clip in split {clips.split}")
    if stage.semantic_weight and not train.classes:
        raise UsageError(f"{data.name} has masks but no classes: set semantic_weight to 0")
    return Splits(train, val)


def items_per_epoch(stage: ClipStage, train: ClipDataset) -> int:
    """Return the clips of an epoch, or its frames where the stage draws frames."""
    return sum(count_annotated(train)) if stage.batch_frames else len(train)


def with_corpus_classes(recipe: Recipe) -> Recipe:
    """Return the recipe with the sounds of its corpus, if it has one, as the model's classes."""
    if recipe.corpus is None:
        return recipe
    classes = sounding_classes(recipe.corpus, "train")
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"classes": classes})})


def stage_config(model: SaveConfig, stage: Stage, splits: Splits | None) -> SaveConfig:
    """Return the model's config in a stage: without image adapters where it has not both image and sound."""
    changes: dict[str, object] = {"image_size": stage.image_size or model.image_size}
    if stage.task in {"audio-tagging", "sam-pretraining"}:
        changes["image_adapter"] = None
    if isinstance(stage, ClipStage) and stage.semantic_weight and splits is not None:
        changes["semantic"] = SemanticConfig(classes=splits.train.classes)
    return model.model_copy(update=changes)


def build_model(recipe: Recipe, stage: Stage, config: SaveConfig) -> SAVE:
    """Build the model with the initial weights of a stage."""
    model = build_from_pretrained(config, **dict(recipe.pretrained))
    if stage.init_from is not None:
        folder = init_model_folder(recipe, stage.name, stage.init_from)
        init_from_folder(model, folder, reset=stage.reset)
    if stage.audio_from is not None:
        init_audio_from_folder(model, init_model_folder(recipe, stage.name, stage.audio_from))
    model.sam.image_encoder.activation_checkpointing = stage.activation_checkpointing
    return model


def init_model_folder(recipe: Recipe, stage: str, init_from: str) -> Path:
    """Return the model folder of an earlier stage of this run, else of a bundled model, else a folder.

    A UsageError if there is none.
    """
    earlier = recipe.out / init_from / "model"
    if earlier.is_dir():
        return earlier
    try:
        return find_model_folder(init_from)
    except UsageError as error:
        raise UsageError(
            f"stage {stage}: init_from={init_from} is neither an earlier stage with a model, nor a bundled "
            "model, nor a model folder: train it first"
        ) from error


def make_task(recipe: Recipe, stage: Stage, model: SAVE, splits: Splits | None) -> Task:
    """Return the task of a stage around its model."""
    if isinstance(stage, SyntheticStage):
        return TASKS[stage.task](model, stage, recipe.corpus, model.image_size)
    splits = splits or open_splits(stage, model.frontend)
    if stage.data.features is not None:
        splits = splits.with_features(stage.data.features, recipe.model.audio, model.audio_backbone)
    redraw = None  # what opens the training clips of an epoch, where not every epoch has the same
    if resolve_spec(stage.data.name, stage.data.root).has_random_audio and stage.data.features is None:
        redraw = partial(_open_epoch, stage.data, stage.seed, model.frontend)  # can be sent to a worker
    return AVSegmentationTask(model, stage, train=splits.train, val=splits.val, redraw=redraw)


def _open_epoch(data: DatasetConfig, seed: int, frontend: Frontend, epoch: int) -> ClipDataset:
    return open_dataset(data.name, data.root, "train", seed=seed + epoch, frontend=frontend)
