"""Square convolutions that train as one matrix product each, without repacking their weights.

The CPU's convolution routines repack millions of weights at every call, forward and twice backward. Over a
grid of a few hundred tokens this takes longer than the convolution, so here the tokens are unfolded instead.
Only training on a CPU uses this path; the results differ by rounding alone.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MatmulConv2d(nn.Conv2d):
    """``nn.Conv2d`` without a bias: while it is trained, W [out,in*k*k] times the patches of the input."""

    def forward(self, input: Tensor) -> Tensor:
        """[B,in,H,W] -> [B,out,h,w]."""
        if not _use_matmul(self):
            return super().forward(input)
        (kernel, _), (stride, _), padding = self.kernel_size, self.stride, _padding(self)
        patches = F.unfold(input, kernel, stride=stride, padding=padding)  # [B,in*k*k,h*w]
        h, w = ((side + 2 * padding - kernel) // stride + 1 for side in input.shape[2:])
        return (self.weight.flatten(1) @ patches).unflatten(2, (h, w))


class MatmulConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` without a bias: while it is trained, the overlapping patches W' x, added up."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[B,in,h,w] -> [B,out,H,W]."""
        if not _use_matmul(self):
            return super().forward(input, output_size)
        (kernel, _), (stride, _), padding = self.kernel_size, self.stride, _padding(self)
        patches = self.weight.flatten(1).t() @ input.flatten(2)  # [B,out*k*k,h*w]
        h, w = ((side - 1) * stride - 2 * padding + kernel for side in input.shape[2:])
        return F.fold(patches, (h, w), kernel, stride=stride, padding=padding)


def _padding(layer: nn.Conv2d | nn.ConvTranspose2d) -> int:
    padding, _ = cast(tuple[int, int], layer.padding)
    return padding


def _use_matmul(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    weight = layer.weight
    learns = weight.requires_grad and torch.is_grad_enabled()
    return learns and weight.device.type == "cpu" and layer.groups == 1
