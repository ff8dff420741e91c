"""The declared grids, and what a declaration may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from save_avs.errors import UsageError
from save_avs.models.profile import profile_model
from studies.cli.study import GRIDS
from studies.config import GRIDS as FOLDER
from studies.config import NAMES, load_study
from studies.runs import Run, runs_of
from tests.support.study_runs import make_study

OUT = Path("out")


def runs(name: str) -> dict[str, Run]:
    return {run.name: run for run in runs_of(name, load_study(name), OUT)}


def test_every_grid_has_a_command_and_every_command_a_grid():
    assert set(GRIDS) == set(NAMES) == {path.stem for path in FOLDER.glob("*.yaml")}


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_makes_a_recipe_and_a_model(name):
    digests = set()
    for run in runs(name).values():
        digests.add(run.digest)
        assert run.recipe.out == OUT / run.name and all(s.seed == run.seed for s in run.recipe.stages)
        assert profile_model(run.recipe.model, run.stage.trainable).trained > 0
    assert len(digests) == len(runs(name))  # no run is there twice


def test_the_seeds_are_those_that_carry_a_conclusion():
    names = list(runs("adapters"))
    for variant in ("none", "image", "audio", "both", "sama"):
        of_variant = [name for name in names if name.startswith(f"{variant}-seed")]
        assert of_variant == [f"{variant}-seed{k}" for k in range(3)]
    assert "deaf-seed0" in names and "deaf-seed1" not in names


def test_compression_takes_over_runs_of_the_adapters_study():
    for seed in range(3):
        ours = runs("compression")[f"bottleneck-0.25-seed{seed}"]
        assert ours.digest == runs("adapters")[f"both-seed{seed}"].digest


def test_the_resolutions_start_from_a_run_of_the_adapters_study():
    start = runs("resolution")["512-seed0"].stage.init_from
    run = runs("adapters")["both-seed0"]
    assert start == f"runs/studies/adapters/{run.name}/{run.stage.name}/model"


def test_habits_do_not_change_a_digest_and_all_else_does():
    def digest(*overrides: str) -> str:
        return runs_of("adapters", load_study("adapters"), OUT, overrides=overrides)[0].digest

    assert digest() == digest("workers=2", "checkpoint_interval_s=5", "device=cpu", "model.name=other")
    changed = (
        "precision=fp32",
        "stages.scenes.steps=9",
        "model.audio_adapter.hidden=128",
        "corpus=elsewhere",
    )
    assert len({digest(), *(digest(one) for one in changed)}) == 5


def test_full_size_takes_the_same_declarations():
    recipe = Path(__file__).parents[2] / "configs" / "s4-256.yaml"
    for name in ("adapters", "compression"):
        for run in runs_of(name, load_study(name), OUT, recipe=recipe):
            assert run.stage.name == "train" and run.recipe.model.audio == "vggish"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reference": "nobody"}, "no variant is called nobody"),
        ({"variants": {"both": {"speed": 1}}}, "variants.both.speed"),
        ({"seeds": []}, "seeds"),
    ],
)
def test_what_no_study_has_is_named(tmp_path, changes, said):
    with pytest.raises(UsageError, match=said):
        load_study(make_study(tmp_path, **changes))


def test_a_study_that_is_not_there():
    with pytest.raises(UsageError, match="there are starting-point, adapters"):
        load_study("nothing.yaml")
