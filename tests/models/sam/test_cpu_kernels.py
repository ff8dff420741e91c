"""Kernels for CPUs compute what plain layers do, and are left out where they cannot be used."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from save_avs.models.sam import ImageEncoderViT, cpu_kernels
from save_avs.models.sam.cpu_kernels import (
    MatmulConv2d,
    MatmulConvTranspose2d,
    PackedLinear,
    pack_linear_layers,
)

needs_onednn = pytest.mark.skipif(not cpu_kernels.has_onednn(), reason="this torch lacks oneDNN's operators")
BF16_STEP = 2**-8  # relative


def drawn_encoder() -> ImageEncoderViT:
    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        image_size=96,
        embed_dim=32,
        depth=3,
        num_heads=2,
        window_size=4,
        global_attn_indexes=(1,),
        out_chans=16,
    )
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.2)
    return encoder.eval()


@needs_onednn
@pytest.mark.parametrize("rows", [1, 7, 300])
def test_a_packed_layer_is_the_layer_and_its_activation(rows: int) -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(48, 80), torch.randn(2, rows, 48)
    with torch.inference_mode():
        plain = linear(x)
        torch.testing.assert_close(PackedLinear(linear)(x), plain, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(PackedLinear(linear, "gelu")(x), F.gelu(plain), atol=1e-5, rtol=1e-5)


@needs_onednn
def test_packed_blocks_give_the_same_embedding() -> None:
    encoder, x = drawn_encoder(), torch.randn(2, 3, 96, 96)
    packed = copy.deepcopy(encoder)
    pack_linear_layers(packed.blocks)
    with torch.inference_mode():
        torch.testing.assert_close(packed(x), encoder(x), atol=2e-5, rtol=1e-4)


@needs_onednn
def test_packed_blocks_stay_near_float32_in_bfloat16() -> None:
    encoder, x = drawn_encoder(), torch.randn(2, 3, 96, 96)
    packed = copy.deepcopy(encoder).bfloat16()
    pack_linear_layers(packed.blocks)
    with torch.inference_mode():
        exact = encoder(x)
        assert (packed(x.bfloat16()).float() - exact).norm() < 8 * BF16_STEP * exact.norm()


@needs_onednn
def test_no_gradient_is_promised_and_none_is_lost_in_silence() -> None:
    layer = PackedLinear(nn.Linear(4, 4))
    with pytest.raises(ValueError, match="precision='fp32'"):
        layer(torch.ones(1, 4, requires_grad=True))


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


@needs_onednn
@pytest.mark.parametrize(
    ("state", "used"),
    [("inference", True), ("training", False), ("bfloat16", False), ("off", False), ("export", False)],
)
def test_onednn_attention_is_for_float32_inference_alone(state, used, monkeypatch):
    calls = []
    attend = cpu_kernels.onednn_attention
    monkeypatch.setattr(cpu_kernels, "onednn_attention", lambda *x: calls.append(x) or attend(*x))
    monkeypatch.setattr(cpu_kernels, "ENABLED", state != "off")
    encoder, x = drawn_encoder(), torch.randn(1, 3, 96, 96)
    if state == "bfloat16":
        encoder, x = encoder.bfloat16(), x.bfloat16()
    with torch.set_grad_enabled(state == "training"):
        if state == "export":
            targets = {str(node.target) for node in torch.export.export(encoder, (x,)).graph.nodes}
            assert not [target for target in targets if "mkldnn" in target]
        else:
            encoder(x)
    assert bool(calls) == used


@torch.inference_mode()
def test_the_encoder_compiles_into_one_static_graph():
    encoder, x = drawn_encoder(), torch.randn(2, 3, 96, 96)
    expected = encoder(x)
    encoder.compile(backend="eager", dynamic=False, fullgraph=True)  # no C++ compiler is needed
    torch.testing.assert_close(encoder(x), expected, atol=2e-5, rtol=1e-4)
