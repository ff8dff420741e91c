"""Training budget of a run: steps, frames, operations, and model size."""

from __future__ import annotations

from functools import cache
from statistics import median
from typing import TYPE_CHECKING

from save_avs.audio.frontend import VGGISH
from save_avs.models import SaveConfig
from save_avs.models.profile import ModelProfile, profile_model
from save_avs.training.recipe import Recipe
from save_avs.training.stage_config import Stage, SyntheticStage
from save_avs.training.stage_schedule import clip_schedule
from save_avs.training.stage_setup import items_per_epoch, open_splits, stage_config

if TYPE_CHECKING:
    from collections.abc import Iterable

    from studies.results import RunResult


def count_steps(stage: Stage) -> int:
    """Optimizer steps of a stage.

    Raises:
        UsageError: the stage counts epochs of clips that are missing.
    """
    if stage.steps is not None:
        return stage.steps
    assert not isinstance(stage, SyntheticStage)
    splits = open_splits(stage, VGGISH)  # the number of clips does not depend on the front-end
    return clip_schedule(stage, train=items_per_epoch(stage, splits.train), val=len(splits.val)).steps


def count_frames(stage: Stage) -> int:
    """Frames that a stage trains on, with repetitions; clips where these are videos."""
    return round(count_steps(stage) * frames_per_step(stage))


def frames_per_step(stage: Stage) -> float:
    """Frames of a step, on average; clips where these are videos, whose frames are not known."""
    if isinstance(stage, SyntheticStage):
        return stage.batch_size
    if stage.batch_frames:
        return stage.batch_frames
    train = open_splits(stage, VGGISH).train
    counts = [train.num_annotated(i) or 1 for i in range(len(train))]
    return stage.items_per_step * sum(counts) / len(counts)


def profile_recipe(recipe: Recipe) -> ModelProfile:
    """Size and cost of the model as the last stage trains it."""
    stage = recipe.stages[-1]
    return _profile(stage_config(recipe.model, stage, None).model_dump_json(), stage.trainable)


@cache
def _profile(config: str, trainable: tuple[str, ...]) -> ModelProfile:
    return profile_model(SaveConfig.model_validate_json(config), trainable)


def training_flops(recipe: Recipe) -> float:
    """Operations of a forward pass over all frames; audio tagging only needs the audio backbone."""
    flops = profile_recipe(recipe).flops
    model, audio = sum(flops.values()), flops["audio backbone"]
    return sum(count_frames(s) * (audio if s.task == "audio-tagging" else model) for s in recipe.stages)


def flops_per_second(results: Iterable[RunResult]) -> float | None:
    """Median training speed in ``training_flops`` per second; None without a trained run."""
    speeds = [r.training_flops / r.seconds for r in results if r.training_flops and r.seconds]
    return median(speeds) if speeds else None
