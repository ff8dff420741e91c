"""The image encoder adapter: a channel gate and a spatial branch, parallel to a block's MLP."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from save_avs.models.sam.cpu_kernels import MatmulConv2d, MatmulConvTranspose2d

SpatialBranch = Literal["full", "depthwise", "bottleneck", "none"]
Init = Literal["ancestor", "torch"]  # how an untrained adapter's weights are drawn


class ImageAdapter(nn.Module):
    """Adapts one block of a frozen image encoder: [B,H,W,C] -> [B,H,W,C].

    y = x * sigmoid(W_up relu(W_down avgpool(x)))
    s = relu(convT4x4/2(relu(conv3x3/2(y))))
    out = gate * LayerNorm(x + s)

    ``gate``, one value per channel, is initialized to zero: an untrained adapter changes nothing. Without a
    spatial branch s = y, so that the channel branch still has an effect.

    Args:
        dim: channels C.
        ratio: compression of the channel branch, and of the spatial branch where that is a bottleneck.
        spatial: ``full`` convolves all channels with all (25 C^2 weights); ``depthwise`` each with itself
            (25 C); ``bottleneck`` convolves ratio * C channels; ``none`` leaves the branch out.
        init: ``ancestor`` draws every weight as SAM-Med2D does, from N(0, 2 / fan out); ``torch`` as PyTorch
            does, uniformly with the variance 1 / (3 fan in).

    Raises:
        ValueError: on a ratio outside (0, 1] or an unknown spatial branch.

    Source: SAVE (arXiv 2407.02004), image encoder adapter; formulas and initialization of SAM-Med2D (arXiv
    2308.16184); the output gate and the lighter branches are ours.
    """

    def __init__(
        self, dim: int, *, ratio: float = 0.25, spatial: SpatialBranch = "full", init: Init = "ancestor"
    ) -> None:
        super().__init__()
        if not 0 < ratio <= 1:
            raise ValueError(f"ratio must be in (0, 1], not {ratio}")
        hidden = max(1, int(dim * ratio))
        self.down: nn.Linear = nn.Linear(dim, hidden, bias=False)
        self.up: nn.Linear = nn.Linear(hidden, dim, bias=False)
        self.spatial: nn.Module | None = _spatial_branch(dim, hidden, spatial)
        self.norm: nn.LayerNorm = nn.LayerNorm(dim)
        self.gate: nn.Parameter = nn.Parameter(torch.zeros(dim))
        if init == "ancestor":
            self.apply(_draw_by_fan_out)

    def forward(self, x: Tensor) -> Tensor:
        """[B,H,W,C] -> [B,H,W,C]."""
        pooled = x.mean(dim=(1, 2), keepdim=True)  # [B,1,1,C]
        y = x * self.up(torch.relu(self.down(pooled))).sigmoid()
        if self.spatial is None:
            return self.gate * self.norm(x + y)
        s = self.spatial(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        # an odd grid comes back one row and column larger
        return self.gate * self.norm(x + s[:, : x.shape[1], : x.shape[2]])


def _spatial_branch(dim: int, hidden: int, kind: SpatialBranch) -> nn.Module | None:
    """Halve the grid and restore it: [B,C,H,W] -> [B,C,H or H+1,W or W+1]."""
    if kind == "full":
        return nn.Sequential(*_down_up(dim, groups=1))
    if kind == "depthwise":
        return nn.Sequential(*_down_up(dim, groups=dim))
    if kind == "bottleneck":
        squeeze, expand = (nn.Conv2d(a, b, 1, bias=False) for a, b in ((dim, hidden), (hidden, dim)))
        return nn.Sequential(squeeze, *_down_up(hidden, groups=1), expand)
    if kind == "none":
        return None
    raise ValueError(f"unknown spatial branch '{kind}': choose one of {', '.join(get_args(SpatialBranch))}")


def _draw_by_fan_out(layer: nn.Module) -> None:
    """Draw the weights of a linear layer or convolution: Kaiming normal, fan out, for a ReLU."""
    if isinstance(layer, nn.Linear):
        fan_out = layer.out_features
    elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        fan_out = layer.out_channels * math.prod(layer.kernel_size) // layer.groups
    else:
        return
    nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))


def _down_up(channels: int, *, groups: int) -> list[nn.Module]:
    return [
        MatmulConv2d(channels, channels, 3, stride=2, padding=1, groups=groups, bias=False),
        nn.ReLU(),
        MatmulConvTranspose2d(channels, channels, 4, stride=2, padding=1, groups=groups, bias=False),
        nn.ReLU(),
    ]
