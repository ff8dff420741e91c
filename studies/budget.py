"""What runs take: steps and frames, and how long they may last on this machine."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from functools import cache
from statistics import median

import torch

from save_avs.audio.frontend import VGGISH
from save_avs.models import SaveConfig
from save_avs.models.profile import ModelProfile, profile_model
from save_avs.training.recipe import Recipe
from save_avs.training.run_record import cpu_name
from save_avs.training.schedule import clip_schedule
from save_avs.training.setup import open_splits, stage_config
from save_avs.training.stage import Stage, SyntheticStage
from studies.result import Result


def items_a_step(stage: Stage) -> int:
    """Frames of an optimizer step, or clips where the stage is on clips."""
    return stage.batch_size


def steps_of(stage: Stage) -> int:
    """Optimizer steps of a stage.

    Raises:
        UsageError: when it counts epochs of clips that are not there.
    """
    if stage.steps is not None:
        return stage.steps
    assert not isinstance(stage, SyntheticStage)
    splits = open_splits(stage, VGGISH)  # the tables say how many clips, whoever hears them
    return clip_schedule(stage, train=len(splits.train), val=len(splits.val)).steps


def sizes_of(recipe: Recipe) -> ModelProfile:
    """The size of the model as the last stage of a recipe trains it, and what a frame costs."""
    stage = recipe.stages[-1]
    return _measured(stage_config(recipe.model, stage, None).model_dump_json(), stage.trainable)


@cache
def _measured(config: str, trained: tuple[str, ...]) -> ModelProfile:
    return profile_model(SaveConfig.model_validate_json(config), trained)


def work_of(recipe: Recipe) -> float:
    """Operations of a forward pass over all items of all stages; sounds need the audio backbone alone."""
    flops = sizes_of(recipe).flops
    whole, heard = sum(flops.values()), flops["audio backbone"]
    return sum(
        steps_of(stage) * items_a_step(stage) * (heard if stage.task == "audio-tagging" else whole)
        for stage in recipe.stages
    )


def operations_a_second(results: Iterable[Result]) -> float | None:
    """How much of ``work_of`` trainings did a second; None where nothing was trained."""
    trained = [result for result in results if result.spent.items]
    if not trained:
        return None
    return median(work_of(Recipe.model_validate(r.recipe)) / r.spent.seconds for r in trained)


def machine() -> str:
    """What trains here."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    threads = torch.get_num_threads()
    return (
        f"{cpu_name()}, {threads} thread{'s' * (threads > 1)}, torch {torch.__version__}, {platform.system()}"
    )
