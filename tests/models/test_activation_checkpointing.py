"""Blocks that are computed again in the backward pass."""

from __future__ import annotations

import pytest
import torch

from save_avs.models import SAVE
from save_avs.models.freeze import freeze_except
from save_avs.training.memory_estimate import saved_bytes
from save_avs.training.recipe import Recipe
from save_avs.training.stage_setup import build_model
from tests.support.tiny_model import shake, tiny_batch, tiny_config, tiny_model

PARTS = ["adapter", "audio_adapter", "mask_decoder"]


def learning_model(*, activation_checkpointing: bool) -> SAVE:
    model = tiny_model()
    shake(model)
    freeze_except(model.train(), PARTS)
    model.sam.image_encoder.activation_checkpointing = activation_checkpointing
    return model


@pytest.mark.parametrize("bf16", [False, True])
def test_loss_and_gradients_are_the_same_bits(bf16):
    results = []
    for activation_checkpointing in (False, True):
        model = learning_model(activation_checkpointing=activation_checkpointing)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model(*tiny_batch()).float().square().mean()
        loss.backward()
        grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        results.append((loss.detach(), grads))
    (loss, grads), (again, regrads) = results
    assert torch.equal(loss, again) and grads.keys() == regrads.keys()
    assert sum("blocks" in name for name in grads) == 3 * 7  # of each adapter
    for name, grad in grads.items():
        assert grad.abs().max() > 0, name
        assert torch.equal(grad, regrads[name]), name


def kept_and_run(*, activation_checkpointing: bool) -> tuple[int, int]:
    """Bytes kept by a step of the encoder, and how often a block ran in it."""
    model = learning_model(activation_checkpointing=activation_checkpointing)
    calls = []
    for block in model.sam.image_encoder.blocks:
        block.register_forward_pre_hook(lambda *_: calls.append(1))
    kept = saved_bytes(model, lambda: model.encode(*tiny_batch())[0].sum().backward())
    return kept, len(calls)


def test_every_block_runs_again_in_the_backward_pass_and_keeps_its_input_alone():
    kept, ran = kept_and_run(activation_checkpointing=False)
    kept_again, ran_again = kept_and_run(activation_checkpointing=True)
    assert (ran, ran_again) == (3, 6)
    assert kept_again < kept / 2


def test_blocks_run_once_without_gradients():
    model = learning_model(activation_checkpointing=True)
    calls = []
    model.sam.image_encoder.blocks[0].register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        model(*tiny_batch())
    assert calls == [1]


@pytest.mark.parametrize("activation_checkpointing", [False, True])
def test_a_stage_says_whether_its_model_recomputes(activation_checkpointing, tmp_path):
    stage = {"name": "s", "task": "avs", "data": {"name": "s4", "root": "x"}, "epochs": 1, "batch_size": 1}
    recipe = Recipe.model_validate(
        {
            "model": tiny_config().model_dump(exclude={"pretrained"}),
            "out": tmp_path,
            "stages": [{**stage, "lr": 1e-3, "activation_checkpointing": activation_checkpointing}],
        }
    )
    model = build_model(recipe, recipe.stages[0], recipe.model)
    assert model.sam.image_encoder.activation_checkpointing is activation_checkpointing
