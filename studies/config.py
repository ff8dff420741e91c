"""A study as it is declared: one YAML file says which runs, the rest follows from it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from save_avs.errors import UsageError
from save_avs.evaluation.prompted import PromptKind as Prompt
from save_avs.synthesis.corpus import CorpusSplit
from save_avs.training.recipe import RecipeChanges
from save_avs.training.safe_yaml import read_yaml
from save_avs.training.stage import SceneConfig, StrictModel

GRIDS = Path(str(files("studies"))) / "grids"
NAMES = ("starting-point", "adapters", "compression", "resolution", "backbones")


class Evaluation(StrictModel):
    """What every run is scored on: the same scenes, or the test clips where its last stage is on clips.

    Attributes:
        scenes, seed: how many are drawn, and of what.
        split: of the corpus, or of the data set.
        drawn: how scenes are drawn; as the last stage's, without augmentation, where None.
        compare_at: side in pixels at which masks meet their truth; the model's own where None.
        sizes: shares of the picture at which what sounds counts as medium, and as large.
    """

    scenes: int = Field(default=300, gt=1)
    seed: int = 2024
    split: CorpusSplit = "test"
    drawn: SceneConfig | None = None
    compare_at: int | None = Field(default=None, gt=0)
    sizes: tuple[float, float] = (0.05, 0.15)


class Variant(RecipeChanges):
    """One column of a grid: how it differs from what is common to all.

    Attributes:
        says: what it is, in a few words of the report.
        seeds: of its runs; the study's where None.
        prompt: ask the SAM that the last stage starts from by its own prompt; nothing is trained.
    """

    says: str = ""
    seeds: tuple[int, ...] | None = None
    prompt: Prompt | None = None


class Study(StrictModel):
    """A grid of runs.

    Attributes:
        title, question: over the report.
        recipe: that is varied; a name is of the recipes beside the declaration.
        common: changes of every variant.
        variants: what is compared, in the report's order.
        reference: the variant that the others are tested against.
        seeds: of the runs of a variant that names none.
        evaluation: what all are scored on.
    """

    title: str
    question: str
    recipe: Path
    common: RecipeChanges = RecipeChanges()
    variants: dict[str, Variant] = Field(min_length=1)
    reference: str
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    evaluation: Evaluation = Evaluation()

    @field_validator("variants", mode="before")
    @classmethod
    def _empty_is_unchanged(cls, variants: Any) -> Any:
        if not isinstance(variants, dict):
            return variants
        return {str(name): {} if value is None else value for name, value in variants.items()}

    @model_validator(mode="after")
    def _reference_is_there(self) -> Self:
        if self.reference not in self.variants:
            raise ValueError(f"reference: no variant is called {self.reference}")
        return self

    def seeds_of(self, variant: str) -> tuple[int, ...]:
        """The seeds of a variant's runs."""
        own = self.variants[variant].seeds
        return self.seeds if own is None else own


def load_study(name_or_path: str | Path) -> Study:
    """A study by its name, or of a YAML file of one's own.

    Raises:
        UsageError: when it is not there, or says what no study has: a line for each problem.
    """
    import yaml

    path = GRIDS / f"{name_or_path}.yaml" if str(name_or_path) in NAMES else Path(name_or_path)
    if not path.is_file():
        raise UsageError(f"{path}: no such study; there are {', '.join(NAMES)}")
    try:
        study = Study.model_validate(yaml.safe_load(read_yaml(path)))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(f"{path}: {'; '.join(problems)}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{path}: {str(error).splitlines()[0]}") from error
    return study.model_copy(update={"recipe": path.parent / study.recipe})
