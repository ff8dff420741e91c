from __future__ import annotations

from math import erf, sqrt

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from save_avs.losses import save_loss
from save_avs.models.adapters.audio_adapters import SamaAudioAdapter
from save_avs.models.freeze import freeze_except
from save_avs.models.sam import build_sam
from save_avs.models.serialization import model_card
from tests.support.tiny_model import shake, tiny_batch, tiny_config, tiny_model

SAMA = {"audio_adapter": {"kind": "sama", "hidden": 24}}


def linear(x: np.ndarray, layer: torch.nn.Module) -> np.ndarray:
    weight, bias = (p.detach().numpy() for p in layer.parameters())
    return x @ weight.T + bias


def test_outputs_match_the_formula():
    torch.manual_seed(0)
    module = SamaAudioAdapter(audio_dim=7, blocks=3, embed_dim=5, hidden=4)
    shake(module)
    module.double()
    audio = np.random.default_rng(1).standard_normal((2, 7))
    with torch.no_grad():
        injections, prompt = module(torch.from_numpy(audio))
    assert prompt is None and len(injections) == 3
    for given, enter in zip(injections, module.layers, strict=True):
        z = linear(audio, enter)
        expected = linear(z * 0.5 * (1 + np.vectorize(erf)(z / sqrt(2))), module.block_proj)
        assert given is not None and np.allclose(given.numpy(), expected, atol=1e-12)
    assert sum(p.numel() for p in module.parameters()) == 3 * (7 * 4 + 4) + (4 * 5 + 5)


def test_ancestor_weights_have_deviation_0_02_and_biases_zero():
    torch.manual_seed(0)
    module = SamaAudioAdapter(audio_dim=128, blocks=2, embed_dim=5, hidden=160)
    for layer in module.layers:
        weight, bias = (p.detach() for p in layer.parameters())
        assert abs(weight.double().std() / 0.02 - 1) < 0.03 and torch.equal(bias, torch.zeros(160))
    assert all(torch.equal(p, torch.zeros_like(p)) for p in module.block_proj.parameters())
    torch_drawn = SamaAudioAdapter(audio_dim=128, blocks=2, embed_dim=5, hidden=160, init="torch")
    assert all(p.abs().max() > 0.08 for p in torch_drawn.layers.parameters())  # up to 1 / sqrt(128) = 0.088


def test_untrained_model_equals_sam_without_a_prompt():
    model = tiny_model(**SAMA)
    sam = build_sam(tiny_config().sam, image_size=64)
    sam.load_state_dict({k: v for k, v in model.sam.state_dict().items() if ".adapter." not in k})
    images, log_mel = tiny_batch()
    with torch.no_grad():
        expected, _ = sam.eval()(sam.preprocess(images))
        assert torch.equal(model(images, log_mel), expected)


def test_every_parameter_gets_a_gradient_after_one_step():
    model = tiny_model(**SAMA)
    freeze_except(model, ("adapter", "audio_adapter", "sam.mask_decoder"))
    optimizer = torch.optim.AdamW(model.audio_adapter.parameters(), lr=1e-2)
    images, log_mel = tiny_batch(4)
    for _ in range(2):
        optimizer.zero_grad()
        every = torch.ones(4, dtype=torch.bool)
        save_loss(model(images, log_mel), torch.ones(4, 1, 16, 16), every).total.backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.audio_adapter.parameters())


def test_options_of_the_residual_chain_are_rejected():
    with pytest.raises(ValidationError, match="sama takes no other option"):
        tiny_config(audio_adapter={"kind": "sama", "hidden": 24, "tokens": 2})


def test_model_card_names_the_adapter():
    assert "SAMA-AVS" in model_card(tiny_config(**SAMA), 1) and "chain" not in model_card(
        tiny_config(**SAMA), 1
    )
