from __future__ import annotations

from itertools import product
from math import sqrt

import numpy as np
import pytest
import torch

from save_avs.models.adapters.image_adapter import ImageAdapter
from tests.support.tiny_model import shake

SPATIAL = ("full", "depthwise", "bottleneck", "none")
GRIDS = ((4, 4), (5, 5), (3, 6), (1, 1))


def adapter(dim: int, *, seed: int = 0, **options) -> ImageAdapter:
    torch.manual_seed(seed)
    module = ImageAdapter(dim, **options)
    shake(module)
    return module.double()


def conv3x3_halving(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """x [C,H,W] by weight [out,in,3,3]: every second place, one zero around."""
    _, h, w = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((len(weight), (h + 1) // 2, (w + 1) // 2))
    for i, j in product(range(out.shape[1]), range(out.shape[2])):
        window = padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        out[:, i, j] = (weight * window).sum(axis=(1, 2, 3))
    return out


def conv4x4_doubling(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """x [in,h,w] by weight [in,out,4,4]: each value spreads a 4 x 4 stamp, the outermost ring is cut off."""
    _, h, w = x.shape
    out = np.zeros((weight.shape[1], 2 * h + 2, 2 * w + 2))
    for i, j in product(range(h), range(w)):
        out[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum("c,cokl->okl", x[:, i, j], weight)
    return out[:, 1:-1, 1:-1]


def grouped(weight: np.ndarray, groups: int) -> np.ndarray:
    """The weight of a convolution of each channel with itself, written out for all pairs."""
    if groups == 1:
        return weight
    full = np.zeros((groups, groups, *weight.shape[2:]))
    for c in range(groups):
        full[c, c] = weight[c, 0]
    return full


def transcription(x: np.ndarray, module: ImageAdapter) -> np.ndarray:
    """The formulas of save.md, one image [H,W,C], in numpy."""
    w = {name: p.detach().numpy() for name, p in module.named_parameters()}
    pooled = x.mean(axis=(0, 1))
    gate = 1 / (1 + np.exp(-(w["up.weight"] @ np.maximum(w["down.weight"] @ pooled, 0))))
    y = x * gate
    s = y
    weights = [v for name, v in w.items() if name.startswith("spatial")]
    if weights:
        z = y.transpose(2, 0, 1)
        if len(weights) == 4:  # bottleneck: a 1 x 1 convolution before and after
            z = np.einsum("oc,chw->ohw", weights[0][:, :, 0, 0], z)
        halve, double = weights if len(weights) == 2 else weights[1:3]
        groups = len(z) if halve.shape[1] != len(z) else 1
        z = np.maximum(conv3x3_halving(z, grouped(halve, groups)), 0)
        z = np.maximum(conv4x4_doubling(z, grouped(double, groups)), 0)
        if len(weights) == 4:
            z = np.einsum("oc,chw->ohw", weights[3][:, :, 0, 0], z)
        s = z.transpose(1, 2, 0)[: x.shape[0], : x.shape[1]]
    total = x + s
    centered = total - total.mean(-1, keepdims=True)
    normed = centered / np.sqrt((centered**2).mean(-1, keepdims=True) + module.norm.eps)
    return w["gate"] * (normed * w["norm.weight"] + w["norm.bias"])


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("spatial", SPATIAL)
@pytest.mark.parametrize("ratio", [0.25, 0.5])
def test_adapter_computes_the_formulas(spatial, grid, ratio):
    module = adapter(8, ratio=ratio, spatial=spatial)
    x = torch.randn(2, *grid, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    expected = np.stack([transcription(image.numpy(), module) for image in x])
    with torch.no_grad():
        assert np.allclose(module(x).numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("spatial", SPATIAL)
def test_a_fresh_one_adds_nothing(spatial):
    x = torch.randn(2, 5, 5, 16)
    assert torch.equal(ImageAdapter(16, spatial=spatial)(x), torch.zeros_like(x))


@pytest.mark.parametrize(("ratio", "hidden"), [(0.1, 1), (0.25, 4), (0.5, 8), (1.0, 16), (0.01, 1)])
def test_the_ratio_is_of_the_channels(ratio, hidden):
    module = ImageAdapter(16, ratio=ratio, spatial="bottleneck")
    assert module.down.weight.shape == (hidden, 16) and module.up.weight.shape == (16, hidden)


def test_weights_of_the_spatial_branches():
    """25 C^2, 25 C, and 2 r C^2 + 25 (r C)^2."""
    counts = {}
    for spatial in SPATIAL:
        module = ImageAdapter(32, ratio=0.25, spatial=spatial)
        counts[spatial] = sum(p.numel() for n, p in module.named_parameters() if n.startswith("spatial"))
    assert counts == {"full": 25 * 32**2, "depthwise": 25 * 32, "bottleneck": 2 * 8 * 32 + 25 * 64, "none": 0}


@pytest.mark.parametrize("ratio", [0.0, -0.5, 1.5])
def test_a_ratio_that_makes_no_sense(ratio):
    with pytest.raises(ValueError, match="ratio must be in"):
        ImageAdapter(8, ratio=ratio)


def test_an_unknown_branch():
    with pytest.raises(ValueError, match="unknown spatial branch 'wide': choose one of full, depthwise"):
        ImageAdapter(8, spatial="wide")  # pyright: ignore[reportArgumentType]


# (fan in, fan out) of every layer at 128 channels and ratio 0.25, written out by hand.
FANS = {
    "full": {
        "down": (128, 32),
        "up": (32, 128),
        "spatial.0": (9 * 128, 9 * 128),
        "spatial.2": (16 * 128, 16 * 128),
    },
    "depthwise": {"down": (128, 32), "up": (32, 128), "spatial.0": (9, 9), "spatial.2": (16, 16)},
    "bottleneck": {
        "down": (128, 32),
        "up": (32, 128),
        "spatial.0": (128, 32),
        "spatial.1": (9 * 32, 9 * 32),
        "spatial.3": (16 * 32, 16 * 32),
        "spatial.5": (32, 128),
    },
}


def drawn(spatial: str, init: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    module = ImageAdapter(128, spatial=spatial, init=init)  # pyright: ignore[reportArgumentType]
    found = {n.removesuffix(".weight"): p.detach() for n, p in module.named_parameters() if p.ndim > 1}
    assert found.keys() == FANS[spatial].keys()
    return found


@pytest.mark.parametrize("spatial", FANS)
def test_ancestor_weights_are_normal_with_variance_two_over_fan_out(spatial):
    for name, weight in drawn(spatial, "ancestor").items():
        z = weight.flatten().double() / sqrt(2 / FANS[spatial][name][1])
        tolerance = 5 / sqrt(len(z))
        assert abs(z.mean()) < tolerance and abs(z.square().mean() - 1) < sqrt(2) * tolerance, name
        assert abs((z**4).mean() - 3) < sqrt(96) * tolerance, name  # 1.8 for a uniform draw


@pytest.mark.parametrize("spatial", FANS)
def test_torch_weights_are_uniform_within_one_over_root_fan_in(spatial):
    for name, weight in drawn(spatial, "torch").items():
        z = weight.flatten().double() * sqrt(FANS[spatial][name][0])
        assert 0.98 < z.abs().max() <= 1 and abs(z.square().mean() - 1 / 3) < 1.5 / sqrt(len(z)), name


@pytest.mark.parametrize("init", ["ancestor", "torch"])
def test_norm_and_gate_do_not_depend_on_the_draw(init):
    module = ImageAdapter(16, init=init)  # pyright: ignore[reportArgumentType]
    assert torch.equal(module.gate, torch.zeros(16))
    assert torch.equal(module.norm.weight, torch.ones(16)) and torch.equal(module.norm.bias, torch.zeros(16))
