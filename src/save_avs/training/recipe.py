"""A recipe: the model, and the stages that train it one after another; one YAML file under ``configs/``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from save_avs.errors import UsageError
from save_avs.models.config import SaveConfig
from save_avs.training.choices import Policy, Precision, Sharding, Tracker
from save_avs.training.safe_yaml import read_yaml
from save_avs.training.stage import TASK_NAMES, Stage, StrictModel, SyntheticStage

EXTENDS = "extends"


class RecipeError(UsageError):
    """A recipe with problems, each of them one line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class PretrainedPaths(StrictModel):
    """The published checkpoints the model is built on: paths, or names that ``save-avs weights`` knows."""

    sam: str | None = None
    audio: str | None = None


class Recipe(StrictModel):
    """Everything a training run needs.

    Attributes:
        model: a whole config, or ``preset: save-vit-b`` and what differs from it.
        pretrained: what its frozen parts are loaded from; fresh weights where None.
        corpus: folder made by ``save-avs data tuxpaint``, or one of your own in its layout;
            for stages on composed scenes.
        out: run folder; each stage gets a folder in it.
        precision: ``bf16`` and ``fp16`` train under automatic mixed precision.
        device: ``auto`` takes a GPU where there is one.
        sharding: over the processes that ``torchrun`` starts: ``none`` gives each the whole model (DDP),
            ``full`` a slice of every weight (FSDP2).
        workers: processes that read or compose, for each that trains.
        checkpoint_interval_s: seconds between checkpoints.
        keep_checkpoints: checkpoints of a stage that are kept.
        non_finite: whether a loss that is no number stops the run, or its step is skipped.
        bad_samples: whether a sample that cannot be read stops the run, or is skipped and reported.
        trackers: to which figures and pictures go besides metrics.jsonl; each needs the extra of its name.
        stages: a list, or a mapping from names to stages, which another recipe can extend.
    """

    model: SaveConfig
    pretrained: PretrainedPaths = PretrainedPaths()
    corpus: Path | None = None
    out: Path
    precision: Precision = "bf16"
    device: str = "auto"
    sharding: Sharding = "none"
    workers: int = Field(default=1, ge=0)
    checkpoint_interval_s: float = Field(default=120.0, gt=0)
    keep_checkpoints: int = Field(default=2, gt=0)
    non_finite: Policy = "stop"
    bad_samples: Policy = "stop"
    trackers: tuple[Tracker, ...] = ()
    stages: tuple[Stage, ...]

    @field_validator("stages", mode="before")
    @classmethod
    def _named_by_key(cls, stages: Any) -> Any:
        if not isinstance(stages, Mapping):
            return stages
        return [
            {"name": key, **stage} if isinstance(stage, Mapping) else stage for key, stage in stages.items()
        ]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.stages:
            raise ValueError("stages: a recipe needs at least one")
        composed = [stage.name for stage in self.stages if isinstance(stage, SyntheticStage)]
        if composed and self.corpus is None:
            raise ValueError(f"corpus: stage {composed[0]} composes its scenes of one: name its folder")
        if self.sharding == "full" and any(stage.optimizer == "muon" for stage in self.stages):
            raise ValueError("sharding: full slices the matrices that muon needs whole: take adamw")
        return self


class RecipeChanges(StrictModel):
    """How a recipe is varied, whatever its last stage is called: values merged over those that are there."""

    model: dict[str, Any] = Field(default_factory=dict)
    stage: dict[str, Any] = Field(default_factory=dict)


def load_recipe(
    path: str | Path, overrides: Sequence[str] | None = None, changes: Sequence[RecipeChanges] = ()
) -> Recipe:
    """Read a YAML recipe and apply ``key=value`` overrides (``stages.0.steps=10``).

    A recipe that says ``extends: other.yaml`` (beside it) starts from that one and says only what differs.

    Args:
        path: of the recipe.
        overrides: applied last.
        changes: of its model and its last stage, applied one after another.

    Raises:
        RecipeError: on a missing file, a key that no recipe has, or a value out of range: one line each.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    path, raw = Path(path), None
    try:
        config = _read(path, ())
        for change in changes:
            _change(config, change)
        for override in overrides or []:
            key, found, value = override.partition("=")
            if not found:
                raise RecipeError([f"'{override}' is no override: write key=value, as in stages.0.steps=10"])
            OmegaConf.update(config, key, OmegaConf.create(f"value: {value}").value, force_add=False)
        raw = OmegaConf.to_container(config, resolve=True)
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise RecipeError([f"{path}: {_says(raw, e)}" for e in error.errors()]) from error
    except UsageError as error:
        problems = error.problems if isinstance(error, RecipeError) else (f"{path}: {error}",)
        raise RecipeError(problems) from error
    except (OmegaConfBaseException, YAMLError, ValueError, RecursionError) as error:
        raise RecipeError([f"{path}: {str(error).splitlines()[0]}"]) from error


def _read(path: Path, within: tuple[Path, ...]) -> Any:
    """A recipe merged over what it extends; ``within`` are the recipes that are being read already."""
    from omegaconf import OmegaConf

    if not path.is_file():
        raise RecipeError([f"{path}: no such recipe" + (f", which {within[-1]} extends" if within else "")])
    if path.resolve() in within:
        raise RecipeError([f"{path}: extends itself, by way of {within[-1]}"])
    try:
        config: Any = OmegaConf.create(read_yaml(path))
    except UsageError as error:  # it names this file, which need not be the recipe that was asked for
        raise RecipeError([str(error)]) from error
    below = config.pop(EXTENDS, None)
    if below is None:
        return config
    return OmegaConf.merge(_read(path.parent / str(below), (*within, path.resolve())), config)


def _change(config: Any, change: RecipeChanges) -> None:
    """Merge changes into a recipe as it was read."""
    from omegaconf import DictConfig, OmegaConf

    stages = config.get("stages") or [None]
    last = list(stages)[-1] if isinstance(stages, DictConfig) else len(stages) - 1
    for key, values in (("model", change.model), (f"stages.{last}", change.stage)):
        for name, value in values.items():
            OmegaConf.update(config, f"{key}.{name}", value, merge=True)


def _says(raw: Any, error: ErrorDetails) -> str:
    """What is wrong, and where in the file."""
    place = _place(raw, error["loc"])
    match error["type"]:
        case "union_tag_not_found":
            return f"{place}.task: Field required"
        case "union_tag_invalid":
            known = ", ".join(f"'{name}'" for name in TASK_NAMES)
            return f"{place}.task: Input should be one of {known}"
    text = error["msg"].removeprefix("Value error, ")
    return f"{place}: {text}" if place else text


def _place(raw: Any, location: tuple[int | str, ...]) -> str:
    """Where in the file a problem is: pydantic's location without the task behind a stage's number."""
    parts = [part for i, part in enumerate(location) if not (i == 2 and part in TASK_NAMES)]
    stages = raw.get("stages") if isinstance(raw, Mapping) else None
    if len(parts) > 1 and parts[0] == "stages" and isinstance(stages, Mapping):
        parts[1] = list(stages)[int(parts[1])]
    return ".".join(map(str, parts))
