"""Kernels for CPUs compute what plain layers do, and are left out where they cannot be used."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from save_avs.models.adapters.image_adapter import ImageAdapter
from save_avs.models.sam import ImageEncoderViT, cpu_kernels
from save_avs.models.sam.cpu_kernels import (
    Linear,
    MatmulConv2d,
    MatmulConvTranspose2d,
    PackedLinear,
    pack_layers,
)

needs_onednn = pytest.mark.skipif(not cpu_kernels.has_onednn(), reason="this torch lacks oneDNN's operators")
needs_bf16 = pytest.mark.skipif(
    not (cpu_kernels.has_onednn() and cpu_kernels.has_fast_bf16_products()),
    reason="oneDNN's attention in bfloat16 is for CPUs with AVX-512 but without matrix tiles",
)
BF16_STEP = 2**-8  # relative


def drawn_encoder(size: int = 96, *, adapters: bool = False) -> ImageEncoderViT:
    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        image_size=size,
        embed_dim=32,
        depth=3,
        num_heads=2,
        window_size=4,
        global_attn_indexes=(1,),
        out_chans=16,
    )
    if adapters:
        encoder.blocks[1].adapter = ImageAdapter(32)
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.2)
    return encoder.eval()


@needs_onednn
@pytest.mark.parametrize("rows", [1, 7, 300])
@pytest.mark.parametrize(
    ("act", "function"), [(nn.Identity, torch.nn.Identity()), (nn.GELU, F.gelu), (nn.ReLU, F.relu)]
)
def test_a_layer_is_the_plain_one_and_its_activation(rows: int, act: type[nn.Module], function) -> None:
    torch.manual_seed(0)
    linear, x = Linear(48, 80, act), torch.randn(2, rows, 48)
    expected = function(F.linear(x, linear.weight, linear.bias))
    torch.testing.assert_close(linear(x), expected)  # a gradient is wanted
    with torch.inference_mode():
        torch.testing.assert_close(linear(x), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(PackedLinear(linear)(x), expected, atol=1e-5, rtol=1e-5)


class Operators(TorchDispatchMode):
    """Names of the operators that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(str(func))
        return func(*args, **(kwargs or {}))


@needs_onednn
@pytest.mark.parametrize(
    ("state", "used"),
    [("inference", True), ("training", False), ("bfloat16", False), ("autocast", False), ("off", False)],
)
def test_plain_layers_go_to_onednn_for_float32_inference_alone(state, used, monkeypatch):
    monkeypatch.setattr(cpu_kernels, "ENABLED", state != "off")
    linear, x = Linear(8, 8, nn.GELU), torch.randn(2, 8)
    if state == "bfloat16":
        linear, x = linear.bfloat16(), x.bfloat16()
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=state == "autocast")
    with torch.set_grad_enabled(state == "training"), autocast, Operators() as operators:
        y = linear(x)
    assert any("_linear_pointwise" in name for name in operators.names) == used
    assert y.dtype == (torch.bfloat16 if state in ("bfloat16", "autocast") else torch.float32)


@needs_onednn
@pytest.mark.parametrize("grid", [6, 5])
@torch.inference_mode()
def test_packed_blocks_give_the_same_embedding(grid: int) -> None:
    encoder, x = drawn_encoder(16 * grid, adapters=True), torch.randn(2, 3, 16 * grid, 16 * grid)
    packed = copy.deepcopy(encoder)
    pack_layers(packed.blocks, grid)
    kinds = [type(module).__name__ for module in packed.blocks.modules()]
    assert kinds.count("PackedLinear") == 12 and kinds.count("PackedConv") == 2
    torch.testing.assert_close(packed(x), encoder(x), atol=2e-5, rtol=1e-4)


@needs_onednn
def test_packed_blocks_stay_near_float32_in_bfloat16() -> None:
    encoder, x = drawn_encoder(adapters=True), torch.randn(2, 3, 96, 96)
    packed = copy.deepcopy(encoder).bfloat16()
    pack_layers(packed.blocks, 6)
    with torch.inference_mode():
        exact = encoder(x)
        assert (packed(x.bfloat16()).float() - exact).norm() < 8 * BF16_STEP * exact.norm()


@needs_onednn
def test_no_gradient_is_promised_and_none_is_lost_in_silence() -> None:
    layer = PackedLinear(Linear(4, 4))
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


@needs_bf16
@torch.inference_mode()
def test_onednn_attention_is_as_near_to_float32_as_plain_products_in_bfloat16(monkeypatch):
    encoder, x = drawn_encoder(), torch.randn(2, 3, 96, 96)
    exact = encoder(x)
    encoder, x = encoder.bfloat16(), x.bfloat16()
    errors = []
    for keys in (1, 10_000):
        monkeypatch.setattr(cpu_kernels, "MIN_BF16_KEYS", keys)
        errors.append(float((encoder(x).float() - exact).norm()))
    assert errors[0] != errors[1]  # two paths
    assert errors[0] < 1.2 * errors[1]


@needs_onednn
@pytest.mark.parametrize(
    ("state", "used"),
    [("inference", True), ("training", False), ("bfloat16", False), ("off", False), ("export", False)],
)
def test_onednn_attention_of_few_keys_is_for_float32_inference_alone(state, used, monkeypatch):
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
