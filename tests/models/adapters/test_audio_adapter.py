from __future__ import annotations

from math import erf, sqrt

import numpy as np
import pytest
import torch

from save_avs.models.adapters.audio_adapters import ResidualAudioAdapter
from tests.support.tiny_model import shake

DIMS = {"audio_dim": 7, "blocks": 3, "embed_dim": 5, "prompt_embed_dim": 6, "hidden": 4}


def adapter(**options) -> ResidualAudioAdapter:
    torch.manual_seed(0)
    module = ResidualAudioAdapter(**{**DIMS, **options})
    shake(module)
    return module.double()


def linear(x: np.ndarray, layer: torch.nn.Module) -> np.ndarray:
    weight, bias = (p.detach().numpy() for p in layer.parameters())
    return x @ weight.T + bias


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + np.vectorize(erf)(x / sqrt(2)))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("inject_into", ["all", "last", "none"])
@pytest.mark.parametrize("tokens", [0, 1, 3])
def test_outputs_match_the_formula(shared, residual, inject_into, tokens):
    module = adapter(shared=shared, residual=residual, inject_into=inject_into, tokens=tokens)
    audio = np.random.default_rng(1).standard_normal((2, 7))
    with torch.no_grad():
        injections, prompt = module(torch.from_numpy(audio))

    into = {"all": [0, 1, 2], "last": [2], "none": []}[inject_into]
    projections = list(module.block_proj)
    assert len(projections) == (min(len(into), 1) if shared else len(into))
    h = linear(audio, module.in_proj)
    for i, step in enumerate(module.layers):
        update = gelu(linear(h, step))
        h = h + update if residual else update
        given = injections[i]
        if i in into:
            expected = linear(h, projections[0 if shared else into.index(i)])
            assert given is not None and np.allclose(given.numpy(), expected, atol=1e-12)
        else:
            assert given is None
    if tokens:
        assert module.prompt_proj is not None and prompt is not None
        assert prompt.shape == (2, tokens, 6)
        assert np.allclose(prompt.flatten(1).numpy(), linear(h, module.prompt_proj), atol=1e-12)
    else:
        assert prompt is None


@pytest.mark.parametrize("shared", [True, False])
def test_untrained_adapter_injects_zeros(shared):
    module = ResidualAudioAdapter(**DIMS, shared=shared)
    injections, prompt = module(torch.randn(2, 7))
    assert all(torch.equal(v, torch.zeros(2, 5)) for v in injections)
    assert prompt is not None and prompt.abs().min() > 0


def test_frames_are_independent():
    module = adapter()
    audio = torch.randn(4, 7, dtype=torch.float64)
    with torch.no_grad():
        injections, prompt = module(audio)
        alone, alone_prompt = module(audio[2:3])
    assert torch.allclose(injections[1][2:3], alone[1]) and torch.allclose(prompt[2:3], alone_prompt)


WIDE = {"audio_dim": 128, "blocks": 3, "embed_dim": 96, "prompt_embed_dim": 64, "hidden": 160}


def chain_layers(init: str) -> dict[str, torch.nn.Linear]:
    """Every linear layer but P."""
    torch.manual_seed(0)
    module = ResidualAudioAdapter(**WIDE, tokens=2, init=init)  # pyright: ignore[reportArgumentType]
    assert all(torch.equal(p, torch.zeros_like(p)) for p in module.block_proj.parameters())
    layers = {
        n: m for n, m in module.named_modules() if isinstance(m, torch.nn.Linear) and "block_proj" not in n
    }
    assert layers.keys() == {"in_proj", "layers.0", "layers.1", "layers.2", "prompt_proj"}
    return layers


def test_ancestor_weights_are_normal_with_deviation_0_02_and_biases_zero():
    for name, layer in chain_layers("ancestor").items():
        z = layer.weight.detach().flatten().double() / 0.02
        tolerance = 5 / sqrt(len(z))
        assert abs(z.mean()) < tolerance and abs(z.square().mean() - 1) < sqrt(2) * tolerance, name
        assert abs((z**4).mean() - 3) < sqrt(96) * tolerance, (
            name
        )  # 1.8 for a uniform draw, less if truncated
        assert torch.equal(layer.bias, torch.zeros_like(layer.bias)), name


def test_torch_weights_and_biases_are_uniform_within_one_over_root_inputs():
    for name, layer in chain_layers("torch").items():
        z = layer.weight.detach().flatten().double() * sqrt(layer.in_features)
        assert 0.98 < z.abs().max() <= 1 and abs(z.square().mean() - 1 / 3) < 1.5 / sqrt(len(z)), name
        assert 0 < layer.bias.abs().max() * sqrt(layer.in_features) <= 1, name
