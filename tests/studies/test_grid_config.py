"""Declared grids, and what a declaration may contain."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from save_avs.errors import UsageError
from save_avs.models.profile import profile_model
from studies.cli import GRIDS
from studies.config import DECLARATIONS, GRID_STUDIES, Run, load_study, make_runs, select_runs
from tests.support.study_runs import make_study

OUT = Path("out")


@cache
def runs(name: str) -> dict[str, Run]:
    return {run.name: run for run in make_runs(load_study(name), OUT)}


def test_every_declaration_has_a_command():
    assert set(GRIDS) == set(GRID_STUDIES) == {path.stem for path in DECLARATIONS.glob("*.yaml")}


@pytest.mark.parametrize("name", GRID_STUDIES)
def test_every_variant_gives_a_recipe_and_a_model(name):
    for run in runs(name).values():
        assert run.recipe.out == OUT / run.name and all(s.seed == run.seed for s in run.recipe.stages)
        if run.seed == 0:
            assert profile_model(run.recipe.model, run.stage.trainable).trained > 0
    digests = [run.digest for run in runs(name).values()]
    assert len(set(digests)) == len(digests)


def test_compression_shares_runs_with_adapters():
    for seed in range(3):
        shared = runs("compression")[f"bottleneck-0.25-seed{seed}"]
        assert shared.digest == runs("adapters")[f"both-seed{seed}"].digest


def test_resolution_starts_from_a_run_of_adapters():
    start = runs("resolution")["512-seed0"].stage.init_from
    run = runs("adapters")["both-seed0"]
    assert start == f"runs/studies/adapters/{run.name}/{run.stage.name}/model"


def test_digest_ignores_keys_without_effect_on_the_result():
    def digest(*overrides: str) -> str:
        return make_runs(load_study("adapters"), OUT, overrides=overrides)[0].digest

    assert digest() == digest("workers=2", "checkpoint_interval_s=5", "device=cpu", "model.name=other")
    changed = (
        "precision=fp32",
        "stages.scenes.steps=9",
        "model.audio_adapter.hidden=128",
        "corpus=elsewhere",
    )
    assert len({digest(), *(digest(one) for one in changed)}) == 5


@pytest.mark.parametrize("name", ["adapters", "compression"])
def test_declaration_fits_a_recipe_on_clips(name):
    recipe = Path("s4-256")
    for run in make_runs(load_study(name), OUT, recipe=recipe):
        assert run.stage.name == "train" and run.recipe.model.audio == "vggish"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": "nobody"}, "there is no variant 'nobody'"),
        ({"variants": {"both": {"speed": 1}}}, "variants.both.speed"),
        ({"seeds": []}, "seeds"),
    ],
    ids=["unknown reference", "unknown key", "no seeds"],
)
def test_invalid_declaration_is_a_usage_error(tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        load_study(make_study(tmp_path, **changes))


def test_missing_declaration_is_a_usage_error():
    with pytest.raises(UsageError, match="choose from starting-point, adapters"):
        load_study("nothing.yaml")


def test_select_runs_takes_variants_and_runs():
    every = tuple(runs("adapters").values())
    names = [run.name for run in select_runs(every, ["no-sound", "both-seed2"])]
    assert names == ["both-seed2", "no-sound-seed0"] and select_runs(every, ()) == every
    with pytest.raises(UsageError, match="unknown run 'nothing'"):
        select_runs(every, ["nothing"])
