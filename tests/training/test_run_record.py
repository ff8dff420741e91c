"""The record of a run: a recipe that loads again, and the environment of each session."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

import save_avs
from save_avs.errors import UsageError
from save_avs.training.recipe import RECIPES, load_recipe
from save_avs.training.run_record import git_state, read_sessions, write_run_record
from tests.support.training_runs import make_recipe


def test_recorded_recipe_loads_unchanged(tmp_path):
    recipe = make_recipe(tmp_path / "run", trackers=["tensorboard"])
    write_run_record(recipe)
    assert load_recipe(recipe.out / "recipe.yaml") == recipe


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda p: p.name)
def test_recorded_config_recipe_loads_unchanged(path, tmp_path):
    recipe = load_recipe(path, [f"out={tmp_path}", "pretrained={sam: null, audio: null, stem: null}"])
    write_run_record(recipe)
    assert load_recipe(tmp_path / "recipe.yaml") == recipe


def test_session_describes_command_weights_and_machine(tmp_path, monkeypatch):
    base = tmp_path / "sam.pth"
    base.write_bytes(b"weights")
    monkeypatch.setattr(sys, "argv", ["save-avs", "train", "a b.yaml"])
    recipe = make_recipe(tmp_path / "run", pretrained={"sam": str(base)})
    write_run_record(recipe, processes=4)
    (session,) = read_sessions(recipe.out)
    assert session["command"] == "save-avs train 'a b.yaml'" and session["processes"] == 4
    assert session["seeds"] == {"1-scenes": 0, "2-clips": 0}
    digest = hashlib.sha256(b"weights").hexdigest()
    assert session["pretrained"] == {"sam": {"name": "sam.pth", "size": 7, "sha256": digest}}
    assert session["save-avs"] == save_avs.__version__ and "torch" in session["packages"]
    assert session["cpu"]["name"] and session["cpu"]["cores"] >= 1


def test_each_run_adds_a_session(tmp_path):
    for processes in (1, 2):
        write_run_record(make_recipe(tmp_path), processes=processes)
    assert [session["processes"] for session in read_sessions(tmp_path)] == [1, 2]


def test_broken_record_is_replaced(tmp_path):
    (tmp_path / "environment.json").write_text("{")
    write_run_record(make_recipe(tmp_path))
    assert len(read_sessions(tmp_path)) == 1


def test_missing_pretrained_weights_stop_before_anything_is_written(tmp_path):
    recipe = make_recipe(tmp_path / "run", pretrained={"sam": "no/sam.pth"})
    with pytest.raises(UsageError, match=r"no/sam\.pth"):
        write_run_record(recipe)
    assert not recipe.out.exists()


def test_git_state_of_a_repository(tmp_path):
    assert git_state(tmp_path) is None
    who = ["-c", "user.name=x", "-c", "user.email=x@y"]
    file = tmp_path / "a"
    file.write_text("1")
    for words in (["init", "-q"], ["add", "a"], [*who, "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    clean = git_state(tmp_path)
    assert clean is not None and len(clean["commit"]) == 40 and clean["dirty"] is False
    file.write_text("2")
    assert git_state(tmp_path) == {**clean, "dirty": True}


def test_git_state_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(Path(__file__).parent) is None
