"""Recipes: a model and the stages that train it one after another, in one YAML file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from yaml import YAMLError

from save_avs.errors import UsageError
from save_avs.models.config import SaveConfig
from save_avs.training.safe_yaml import read_yaml
from save_avs.training.stage_config import TASK_NAMES, Stage, StrictModel, SyntheticStage

EXTENDS = "extends"
RECIPES = Path(__file__).parents[1] / "recipes"  # those that come with the package, called by name

Policy = Literal["stop", "skip"]
Precision = Literal["fp32", "bf16", "fp16"]
Sharding = Literal["none", "full"]
Tracker = Literal["tensorboard", "wandb", "mlflow"]


class RecipeError(UsageError):
    """A recipe with problems, each of them one line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class PretrainedPaths(StrictModel):
    """The published checkpoints the model is built on: paths, or names that ``save-avs weights`` lists."""

    sam: str | None = None
    audio: str | None = None
    stem: str | None = None


class TrainerOptions(StrictModel):
    """How a stage is run; none of it changes what is learned."""

    workers: int = Field(default=1, ge=0)  # data loading processes per training process
    # seconds between checkpoints; 0 writes one after every step
    checkpoint_interval_s: float = Field(default=120.0, ge=0)
    keep_checkpoints: int = Field(default=2, gt=0)  # checkpoints of a stage that are kept
    non_finite: Policy = "stop"  # whether a loss that is not finite stops the run, or its step is skipped
    # whether a sample that cannot be read stops the run, or is replaced and reported
    bad_samples: Policy = "stop"


class Recipe(TrainerOptions):
    """Everything a training run needs."""

    model: SaveConfig  # a complete config, or ``preset: save-vit-b`` and what differs from it
    pretrained: PretrainedPaths = PretrainedPaths()  # weights of the frozen parts; random where None
    # folder of cutouts, sounds and backgrounds (see ``save_avs.synthesis.corpus``); required by stages on
    # composed scenes
    corpus: Path | None = None
    out: Path  # run folder; each stage gets a folder in it
    precision: Precision = "bf16"  # ``bf16`` and ``fp16`` train under automatic mixed precision
    device: str = "auto"  # ``auto`` takes a GPU if there is one
    # over the processes that ``torchrun`` starts: ``none`` gives each the whole model (DDP), ``full`` a slice
    # of every weight (FSDP2)
    sharding: Sharding = "none"
    # where metrics and images are also sent; each needs the extra of its name
    trackers: tuple[Tracker, ...] = ()
    # a free value that few-shot recipes refer to as ``${shots}``
    shots: int | None = Field(default=None, gt=0)
    stages: tuple[Stage, ...]  # a list, or a mapping from names to stages, which another recipe can extend

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
        synthetic = [stage.name for stage in self.stages if isinstance(stage, SyntheticStage)]
        if synthetic and self.corpus is None:
            raise ValueError(f"corpus: required by stage {synthetic[0]}, which composes scenes from it")
        if self.sharding == "full" and any(stage.optimizer == "muon" for stage in self.stages):
            raise ValueError("sharding: full slices the matrices that muon needs whole: use adamw")
        return self


def load_recipe(
    path: str | Path, overrides: Sequence[str] | None = None, edit: Callable[[Any], None] | None = None
) -> Recipe:
    """Read a YAML recipe, a file or one of the package's by name, and apply ``key=value`` overrides.

    A recipe with ``extends: other.yaml`` (in the same folder, or the name of one of the package's) takes all
    values of that one and lists only what differs. Values may refer to others (``out: v3-${shots}-shot``).
    ``edit`` changes what was read, an OmegaConf mapping, before the overrides (``stages.0.steps=10``). A
    RecipeError has a line for each missing file, unknown key and value out of range.
    """
    path, raw = _find(Path(path)), None
    try:
        config = _read(path, ())
        if edit is not None:
            edit(config)
        for override in overrides or []:
            key, equals, value = override.partition("=")
            if not equals:
                raise RecipeError([f"Invalid override '{override}': expected key=value"])
            OmegaConf.update(config, key, OmegaConf.create(f"value: {value}").value, force_add=False)
        raw = OmegaConf.to_container(config, resolve=True)
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise RecipeError([f"{path}: {_message(raw, e)}" for e in error.errors()]) from error
    except UsageError as error:
        problems = error.problems if isinstance(error, RecipeError) else (f"{path}: {error}",)
        raise RecipeError(problems) from error
    except (OmegaConfBaseException, YAMLError, ValueError, RecursionError) as error:
        raise RecipeError([f"{path}: {str(error).splitlines()[0]}"]) from error


def _read(path: Path, extended_by: tuple[Path, ...]) -> Any:
    """Read a recipe and merge it over what it extends."""
    if not path.is_file():
        where = f" (extended by {extended_by[-1]})" if extended_by else ""
        names = ", ".join(sorted(known.stem for known in RECIPES.glob("*.yaml")))
        raise RecipeError([f"{path}: no such recipe{where}: give a YAML file or one of {names}"])
    if path.resolve() in extended_by:
        raise RecipeError([f"{path}: extends itself through {extended_by[-1]}"])
    try:
        config: Any = OmegaConf.create(read_yaml(path))
    except UsageError as error:  # it names this file, which need not be the recipe that was asked for
        raise RecipeError([str(error)]) from error
    parent = config.pop(EXTENDS, None)
    if parent is None:
        return config
    base = _find(Path(parent), path.parent)
    return OmegaConf.merge(_read(base, (*extended_by, path.resolve())), config)


def _find(path: Path, folder: Path = Path()) -> Path:
    """Return the file a recipe is called by: a path from ``folder``, or the name of one of the package's."""
    named = RECIPES / f"{path}.yaml"
    return (
        named
        if path.parent == Path() and named.is_file() and not (folder / path).is_file()
        else folder / path
    )


def _message(raw: Any, error: ErrorDetails) -> str:
    """Return what is wrong, and where in the file: pydantic's location without the task's name in it."""
    location = [part for i, part in enumerate(error["loc"]) if not (i == 2 and part in TASK_NAMES)]
    stages = raw.get("stages") if isinstance(raw, Mapping) else None
    if len(location) > 1 and location[0] == "stages" and isinstance(stages, Mapping):
        location[1] = list(stages)[int(location[1])]
    key = ".".join(map(str, location))
    match error["type"]:
        case "union_tag_not_found":
            return f"{key}.task: Field required"
        case "union_tag_invalid":
            known = ", ".join(f"'{name}'" for name in TASK_NAMES)
            return f"{key}.task: Input should be one of {known}"
    text = error["msg"].removeprefix("Value error, ")
    return f"{key}: {text}" if key else text
