from __future__ import annotations

import pytest
import torch
from torch import nn

from save_avs.models.adapters.matmul_conv import MatmulConv2d, MatmulConvTranspose2d

PAIRS = [
    (MatmulConv2d, nn.Conv2d, {"kernel_size": 3, "stride": 2, "padding": 1}),
    (MatmulConvTranspose2d, nn.ConvTranspose2d, {"kernel_size": 4, "stride": 2, "padding": 1}),
]


@pytest.mark.parametrize(("ours", "plain", "shape"), PAIRS)
@pytest.mark.parametrize("groups", [1, 6])
@pytest.mark.parametrize("grid", [(4, 4), (5, 3), (1, 1)])
def test_values_and_gradients_are_the_plain_layers(ours, plain, shape, groups, grid):
    torch.manual_seed(0)
    layers = [kind(6, 6, groups=groups, bias=False, **shape).double() for kind in (ours, plain)]
    layers[0].load_state_dict(layers[1].state_dict())  # the same keys
    x = torch.randn(2, 6, *grid, dtype=torch.float64, requires_grad=True)
    results = []
    for layer in layers:
        y = layer(x)
        results.append((y, *torch.autograd.grad(y.square().sum(), [x, layer.weight])))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(("ours", "plain", "shape"), PAIRS)
def test_a_layer_that_does_not_learn_is_the_plain_one(ours, plain, shape):
    torch.manual_seed(0)
    layer, x = ours(6, 6, bias=False, **shape), torch.randn(2, 6, 5, 5)
    frozen = layer.requires_grad_(False)(x)
    with torch.inference_mode():
        asked = layer.requires_grad_(True)(x)
    assert torch.equal(frozen, plain.forward(layer, x)) and torch.equal(frozen, asked)
