"""What `save-avs validate` finds before any training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from save_avs.cli import main
from save_avs.errors import DataError
from save_avs.models import build_save, save_model
from save_avs.models.freeze import freeze_except
from save_avs.training import recipe_check as checking
from save_avs.training.memory_estimate import estimate_memory, forward_one, saved_bytes
from save_avs.training.recipe import Recipe
from save_avs.training.recipe_check import check_recipe
from save_avs.training.stage_setup import Splits
from tests.support.tiny_model import tiny_batch, tiny_config, tiny_model
from tests.support.training_clips import Clips, make_clip

PARTS = ["adapter", "audio_adapter", "mask_decoder"]


@pytest.fixture(autouse=True)
def clips(monkeypatch) -> Splits:
    """Whatever a stage asks for, it gets seven clips in memory."""
    splits = Splits(Clips([make_clip(k) for k in range(7)]), Clips([make_clip(k) for k in range(2)], "val"))
    monkeypatch.setattr(checking, "open_splits", lambda *_: splits)
    return splits


def recipe(*stages: dict, **changes) -> Recipe:
    plain = {"task": "avs", "data": {"name": "s4", "root": "x"}, "epochs": 2, "batch_size": 2, "lr": 1e-3}
    given = [{**plain, "name": f"s{k}", **stage} for k, stage in enumerate(stages)]
    model = tiny_config().model_dump(exclude={"pretrained"})
    return Recipe.model_validate({"model": model, "out": "runs/x", "stages": given, **changes})


def test_report_describes_a_stage():
    found = check_recipe(recipe({}, precision="fp32"))
    assert not found.problems
    assert (
        "7 training and 2 validation clips; 3.5 steps of 2 clips per epoch, 7 steps in all" in found.lines[0]
    )
    assert "trained (adapter" in found.lines[1] and "frozen" in found.lines[1]
    assert "estimated memory" in found.lines[2] and "6 x" in found.lines[2]  # two clips of three frames
    assert found.warnings == [
        "stage s0: without pretrained.sam and pretrained.audio random weights are frozen"
    ]


def test_report_counts_frames_where_a_stage_draws_frames(clips, monkeypatch):
    stage = {"batch_size": None, "batch_frames": 4}
    found = check_recipe(recipe(stage, precision="fp32"))
    assert "; 5.2 steps of 4 frames per epoch, 11 steps in all" in found.lines[0]  # 7 clips of 3 frames
    assert "4 x" in found.lines[2]
    monkeypatch.setattr(Clips, "num_annotated", lambda *_: None)
    assert check_recipe(recipe(stage)).problems == [
        "stage s0: batch_frames: memory has videos, whose frames are not known: use batch_size"
    ]


@pytest.mark.parametrize(
    ("stages", "problem"),
    [
        ([{"trainable": ["adaptor"]}], "stage s0: no parameter to train is named adaptor"),
        ([{"init_from": "s1"}, {}], "stage s0: init_from=s1 is not an earlier stage"),
        ([{"init_from": "s0"}], "stage s0: init_from=s0 is not an earlier stage"),
        ([{"init_from": "nowhere"}], "stage s0: init_from=nowhere is neither"),
        ([{"name": "a"}, {"name": "a"}], "stages: duplicate name a"),
    ],
)
def test_problem_is_reported(stages, problem):
    assert any(problem in line for line in check_recipe(recipe(*stages)).problems)


def test_init_from_an_earlier_stage_or_a_model_folder_is_valid(tmp_path):
    folder = save_model(tiny_model(), tmp_path)
    assert not check_recipe(recipe({"init_from": str(folder)}, {"init_from": "s0"})).problems


def test_all_problems_are_reported_at_once(clips, monkeypatch):
    def broken(_: int):
        raise DataError("frame.png: is broken")

    monkeypatch.setattr(Clips, "__getitem__", lambda _, i: broken(i))
    refs = {"sam": "no/sam.pth"}
    problems = check_recipe(
        recipe({"init_from": "nowhere", "trainable": ["x"]}, pretrained=refs, device="abacus")
    ).problems
    for text in ("device:", "pretrained: no/sam.pth", "frame.png", "nowhere", "named x"):
        assert any(text in line for line in problems), text


def test_memory_estimate_equals_a_real_step():
    config = tiny_config(image_size=128)
    with torch.device("meta"):
        shapes = build_save(config)
    real = build_save(config)
    for model in (shapes, real):
        freeze_except(model, PARTS)
    images, log_mel = tiny_batch(1, 128)
    kept = saved_bytes(real, lambda: real(images, log_mel))
    assert saved_bytes(shapes, lambda: forward_one(shapes)) == kept > 0
    memory = estimate_memory(shapes, frames=3, mixed_precision=False, ema=True)
    trained = sum(p.numel() for p in real.parameters() if p.requires_grad)
    everything = sum(p.numel() for p in real.parameters())
    assert memory.total == 4 * everything + 16 * trained + 3 * kept
    assert estimate_memory(shapes, frames=3, mixed_precision=True, ema=True).activations == kept // 2
    assert (
        estimate_memory(shapes, frames=3, mixed_precision=False, ema=False).total
        == memory.total - 4 * trained
    )


def test_memory_estimate_with_activation_checkpointing_equals_a_real_step():
    config = tiny_config(image_size=128)
    with torch.device("meta"):
        shapes = build_save(config)
    real = build_save(config)
    for model in (shapes, real):
        freeze_except(model, PARTS)
        model.sam.image_encoder.activation_checkpointing = True
    images, log_mel = tiny_batch(1, 128)
    forward = saved_bytes(real, lambda: real(images, log_mel))
    x = torch.zeros(1, 8, 8, 32, requires_grad=True)
    within = [saved_bytes(block, lambda b=block: b(x)) for block in real.sam.image_encoder.blocks]
    memory = estimate_memory(shapes, frames=1, mixed_precision=False, ema=False)
    assert memory.activations == forward + max(within)
    copies = estimate_memory(shapes, frames=1, mixed_precision=True, ema=False).weights - memory.weights
    everything = sum(p.numel() for p in real.parameters())
    sizes = [sum(p.numel() for p in block.parameters()) for block in real.sam.image_encoder.blocks]
    assert copies == 2 * (everything - sum(sizes) + max(sizes))


def test_validate_command_prints_a_line_per_problem_and_exits_with_2(tmp_path: Path, capfd):
    path = tmp_path / "bad.yaml"
    path.write_text(
        "model: {preset: save-vit-b}\nout: x\nstages:\n  train: {task: avs, data: {name: s4}, epochs: 0, "
        "batch_size: 2, lr: 1.0e-3, stepps: 3}\n"
    )
    assert main(["validate", str(path)]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert f"save-avs: {path}: stages.train.data.root: Field required" in lines
    assert f"save-avs: {path}: stages.train.epochs: Input should be greater than 0" in lines
    assert f"save-avs: {path}: stages.train.stepps: Extra inputs are not permitted" in lines
    assert lines[-1] == f"{path}: 3 problems; nothing was trained"
