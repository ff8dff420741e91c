"""Layers that several parts of SAM share."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.models.sam.cpu_kernels import Linear


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of [B,C,H,W] (eps 1e-6, as SAM's).

    Channels-last input stays channels-last and is normalized without a copy.
    """

    def __init__(self, num_channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """[B,C,H,W] -> [B,C,H,W]."""
        y = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return y.permute(0, 3, 1, 2)


class MLPBlock(nn.Module):
    """Two linear layers with an activation between them: lin2(act(lin1(x)))."""

    def __init__(self, embedding_dim: int, mlp_dim: int, act: type[nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.lin1 = Linear(embedding_dim, mlp_dim, act)
        self.lin2 = Linear(mlp_dim, embedding_dim)

    def forward(self, x: Tensor) -> Tensor:
        """[...,C] -> [...,C]."""
        return self.lin2(self.lin1(x))
