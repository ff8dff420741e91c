"""From a study to its runs: a variant and a seed make a recipe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from save_avs.errors import UsageError
from save_avs.evaluation.prompted import PromptKind as Prompt
from save_avs.training.recipe import Recipe, load_recipe
from save_avs.training.setup import init_model_folder
from save_avs.training.stage import Stage
from studies.config import Evaluation, Study

# What changes how a run goes about it, and not what comes out.
HABITS = {"out", "device", "workers", "checkpoint_interval_s", "keep_checkpoints", "trackers"}
UNSAID = "name"  # of the model: what it calls itself


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a study, and what it is scored on.

    Attributes:
        study, variant, seed: which.
        recipe: whole, its folder within the study's.
        evaluation: of the study.
        prompt: how the SAM it starts from is asked, in place of training; None trains.
    """

    study: str
    variant: str
    seed: int
    recipe: Recipe
    evaluation: Evaluation
    prompt: Prompt | None = None

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.variant}-seed{self.seed}"

    @property
    def stage(self) -> Stage:
        """The stage that the study is about: the last one."""
        return self.recipe.stages[-1]

    @property
    def digest(self) -> str:
        """Equal for runs that come to the same: of all that is trained and scored, defaults left out."""
        said = self.recipe.model_dump(mode="json", exclude=HABITS, exclude_defaults=True)
        said["model"].pop(UNSAID)
        whole = [said, self.evaluation.model_dump(mode="json", exclude_defaults=True), self.prompt]
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]

    def starts(self) -> Iterator[tuple[Stage, str]]:
        """Its stages that start from a model made elsewhere, and the name or folder of that."""
        names = {stage.name for stage in self.recipe.stages}
        for stage in self.recipe.stages:
            if stage.init_from is not None and stage.init_from not in names:
                yield stage, stage.init_from


def runs_of(
    name: str,
    study: Study,
    folder: Path,
    *,
    recipe: Path | None = None,
    overrides: Sequence[str] = (),
    only: Collection[str] = (),
    seeds: int | None = None,
) -> tuple[Run, ...]:
    """All runs of a study, variant by variant.

    Args:
        name: of the study.
        study: as declared.
        folder: each run gets a folder in it.
        recipe: in place of the study's.
        overrides: ``key=value``, over everything declared.
        only: names of variants or runs; all where empty.
        seeds: of every variant, counted from 0; as declared where None.

    Raises:
        RecipeError: when a variant makes no recipe.
        UsageError: when no variant and no run has a name in ``only``.
    """
    runs = []
    for variant, change in study.variants.items():
        made = load_recipe(recipe or study.recipe, overrides, (study.common, change))
        for seed in study.seeds_of(variant) if seeds is None else range(seeds):
            stages = tuple(stage.model_copy(update={"seed": seed}) for stage in made.stages)
            out = folder / f"{variant}-seed{seed}"
            runs.append(
                Run(
                    study=name,
                    variant=variant,
                    seed=seed,
                    recipe=made.model_copy(update={"out": out, "stages": stages}),
                    evaluation=study.evaluation,
                    prompt=change.prompt,
                )
            )
    known = {run.name for run in runs} | {run.variant for run in runs}
    if unknown := [one for one in only if one not in known]:
        raise UsageError(f"no run is called {unknown[0]}: choose of {', '.join(study.variants)}")
    return tuple(run for run in runs if not only or run.name in only or run.variant in only)


def starting_folders(run: Run) -> list[Path]:
    """The folders of the models that a run starts from and does not make itself.

    Raises:
        UsageError: when one is not there.
    """
    return [init_model_folder(run.recipe, stage.name, start) for stage, start in run.starts()]
