"""Declaration of a grid study in YAML, and its runs, one recipe for each variant and seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from save_avs.errors import UsageError
from save_avs.models.serialization import WEIGHTS
from save_avs.synthesis.corpus import CorpusSplit
from save_avs.training.recipe import Recipe, load_recipe
from save_avs.training.safe_yaml import read_yaml
from save_avs.training.stage_config import SceneConfig, Stage, StrictModel
from save_avs.training.stage_setup import init_model_folder
from studies.prompted_scenes import PromptKind
from studies.results import run_name

DECLARATIONS = Path(__file__).parent / "declarations"
GRID_STUDIES = (
    "starting-point",
    "adapters",
    "compression",
    "resolution",
    "backbones",
    "batch-units",
    "initialization",
)
# Keys of a recipe that do not change the result of a run.
_WITHOUT_EFFECT = {"out", "device", "workers", "checkpoint_interval_s", "keep_checkpoints", "trackers"}


class EvaluationConfig(StrictModel):
    """Scenes that every run is scored on; test clips where the last stage trains on clips.

    Attributes:
        scenes: number of scenes.
        seed: of the scenes.
        split: of the corpus, or of the dataset.
        scene_options: how scenes are drawn; by default as in the last stage, without augmentation.
        compare_at: side in pixels at which masks are compared; by default the model's own.
        size_thresholds: target areas from which on a sounding object counts as medium, and as large.
    """

    scenes: int = Field(default=300, gt=1)
    seed: int = 2024
    split: CorpusSplit = "test"
    scene_options: SceneConfig | None = None
    compare_at: int | None = Field(default=None, gt=0)
    size_thresholds: tuple[float, float] = (0.05, 0.15)


class RecipeChanges(StrictModel):
    """Changes of a recipe's model and last stage, merged over their values."""

    model: dict[str, Any] = Field(default_factory=dict)
    stage: dict[str, Any] = Field(default_factory=dict)

    def apply(self, config: Any) -> None:
        """Change what was read from a recipe."""
        from omegaconf import DictConfig, OmegaConf

        stages = config.get("stages") or [None]
        last = list(stages)[-1] if isinstance(stages, DictConfig) else len(stages) - 1
        for key, values in (("model", self.model), (f"stages.{last}", self.stage)):
            for name, value in values.items():
                OmegaConf.update(config, f"{key}.{name}", value, merge=True)


class VariantConfig(RecipeChanges):
    """A column of a grid: its changes of the recipe.

    Attributes:
        description: a few words for the report.
        seeds: of its runs; by default those of the study.
        prompt: score the SAM that the last stage starts from with this prompt; nothing is trained.
    """

    description: str = ""
    seeds: tuple[int, ...] | None = None
    prompt: PromptKind | None = None


class StudyConfig(StrictModel):
    """A grid of runs.

    Attributes:
        title, question: head of the report.
        recipe: the recipe that is varied; relative to the declaration.
        common: changes that all variants share.
        variants: in the report's order.
        reference: the variant that all others are tested against.
        seeds: of the runs of each variant that has none of its own.
        evaluation: of all runs.
    """

    title: str
    question: str
    recipe: Path
    common: RecipeChanges = RecipeChanges()
    variants: dict[str, VariantConfig] = Field(min_length=1)
    reference: str
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    evaluation: EvaluationConfig = EvaluationConfig()

    @field_validator("variants", mode="before")
    @classmethod
    def _empty_is_unchanged(cls, variants: Any) -> Any:
        if not isinstance(variants, dict):
            return variants
        return {str(name): {} if value is None else value for name, value in variants.items()}

    @model_validator(mode="after")
    def _reference_exists(self) -> Self:
        if self.reference not in self.variants:
            raise ValueError(f"reference: there is no variant '{self.reference}'")
        return self


def load_study(name_or_path: str | Path) -> StudyConfig:
    """Load a declared study by name, or one from a YAML file.

    Raises:
        UsageError: there is no such file, or it has problems, which the message lists.
    """
    import yaml

    declared = str(name_or_path) in GRID_STUDIES
    path = DECLARATIONS / f"{name_or_path}.yaml" if declared else Path(name_or_path)
    if not path.is_file():
        raise UsageError(f"{path}: no such study: choose from {', '.join(GRID_STUDIES)}, or give a YAML file")
    try:
        study = StudyConfig.model_validate(yaml.safe_load(read_yaml(path)))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(f"{path}: {'; '.join(problems)}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{path}: {str(error).splitlines()[0]}") from error
    return study.model_copy(update={"recipe": path.parent / study.recipe})


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a study.

    Attributes:
        variant, seed: of the run.
        recipe: complete; its folder is inside the study's.
        evaluation: of the study.
        prompt: of a run without training.
    """

    variant: str
    seed: int
    recipe: Recipe
    evaluation: EvaluationConfig
    prompt: PromptKind | None = None

    @property
    def name(self) -> str:
        """Name of the run and of its folder."""
        return run_name(self.variant, self.seed)

    @property
    def stage(self) -> Stage:
        """The last stage, which the study is about."""
        return self.recipe.stages[-1]

    @property
    def digest(self) -> str:
        """Hash of all that is trained and scored, defaults left out; equal for runs with equal results."""
        recipe = self.recipe.model_dump(mode="json", exclude=_WITHOUT_EFFECT, exclude_defaults=True)
        recipe["model"].pop("name")
        parts = [recipe, self.evaluation.model_dump(mode="json", exclude_defaults=True), self.prompt]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def identity(self) -> str:
        """The digest, and a hash of each weight file that the run starts from.

        Raises:
            UsageError: a weight file is missing.
        """
        return " ".join((self.digest, *(_file_hash(folder / WEIGHTS) for folder in self.start_folders())))

    def start_folders(self) -> list[Path]:
        """Folders of the models that the run starts from and does not train itself.

        Raises:
            UsageError: one is missing.
        """
        return [init_model_folder(self.recipe, stage, start) for stage, start in self._starts()]

    def _starts(self) -> Iterator[tuple[str, str]]:
        own = {stage.name for stage in self.recipe.stages}
        for stage in self.recipe.stages:
            if stage.init_from is not None and stage.init_from not in own:
                yield stage.name, stage.init_from


def _file_hash(path: Path) -> str:
    if not path.is_file():
        raise UsageError(f"{path} is missing: first train the model that the study starts from")
    return _hash_unchanged(path, path.stat().st_mtime_ns)


@cache
def _hash_unchanged(path: Path, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def make_runs(
    study: StudyConfig,
    folder: Path,
    *,
    recipe: Path | None = None,
    overrides: Sequence[str] = (),
    seeds: int | None = None,
) -> tuple[Run, ...]:
    """Make all runs of a study, variant by variant.

    Args:
        study: as declared.
        folder: of the study; each run gets a folder in it.
        recipe: in place of the study's.
        overrides: ``key=value``, applied after everything declared.
        seeds: number of runs of every variant, with seeds from 0; by default as declared.

    Raises:
        RecipeError: a variant gives no valid recipe.
    """
    runs = []
    for variant, change in study.variants.items():
        made = _load_variant(recipe or study.recipe, overrides, (study.common, change))
        for seed in change.seeds or study.seeds if seeds is None else range(seeds):
            stages = tuple(stage.model_copy(update={"seed": seed}) for stage in made.stages)
            out = folder / run_name(variant, seed)
            runs.append(
                Run(
                    variant=variant,
                    seed=seed,
                    recipe=made.model_copy(update={"out": out, "stages": stages}),
                    evaluation=study.evaluation,
                    prompt=change.prompt,
                )
            )
    return tuple(runs)


def _load_variant(path: Path, overrides: Sequence[str], changes: Sequence[RecipeChanges]) -> Recipe:
    def edit(config: Any) -> None:
        for change in changes:
            change.apply(config)

    return load_recipe(path, overrides, edit)


def select_runs(runs: Sequence[Run], names: Collection[str]) -> tuple[Run, ...]:
    """Return the runs with these names or variants; all where ``names`` is empty.

    Raises:
        UsageError: no run or variant has one of the names.
    """
    known = {run.name for run in runs} | {run.variant for run in runs}
    if unknown := [name for name in names if name not in known]:
        variants = dict.fromkeys(run.variant for run in runs)
        raise UsageError(f"unknown run '{unknown[0]}': choose from {', '.join(variants)}")
    return tuple(run for run in runs if not names or {run.name, run.variant} & set(names))
