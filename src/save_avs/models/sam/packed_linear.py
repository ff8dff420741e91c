"""Linear layers whose weights lie as the processor multiplies them.

A plain weight is laid out anew at every product. Packed once, it is not; and what follows the product (the
bias, GELU) is computed while the result is still in the registers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

TOKENS = 2048  # how many rows the layout is chosen for: eight frames of 256 px; any number can be multiplied


class PackedLinear(nn.Module):
    """``activation(W x + b)`` for inference, [...,in] -> [...,out], in the type of its weights.

    The packed weight is no parameter: it has a layout of its own, and can be neither saved nor trained.

    Args:
        linear: on the processor; it is not changed.
        activation: ``none`` or ``gelu`` (the exact one).
    """

    def __init__(self, linear: nn.Linear, activation: str = "none") -> None:
        super().__init__()
        self.bias = linear.bias
        self.activation = activation
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), TOKENS)

    def forward(self, x: Tensor) -> Tensor:
        """[...,in] -> [...,out].

        Raises:
            ValueError: when a gradient is wanted.
        """
        if x.requires_grad and torch.is_grad_enabled():
            raise ValueError("packed weights give no gradient: load the model with precision='fp32'")
        return torch.ops.mkldnn._linear_pointwise(x, self._weight, self.bias, self.activation, [], "none")


def can_pack() -> bool:
    """Whether this torch has what packing takes; it is not part of torch's documented interface."""
    known = ("_linear_pointwise", "_reorder_linear_weight")
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in known)


def pack_linear_layers(blocks: nn.ModuleList) -> None:
    """Pack the linear layers of an image encoder's blocks, in place; adapters in them stay as they are."""
    for block in blocks:
        for name in ("attn.qkv", "attn.proj", "mlp.lin2"):
            _pack(block, name)
        _pack(block, "mlp.lin1", "gelu")
        block.set_submodule("mlp.act", nn.Identity())


def _pack(block: nn.Module, name: str, activation: str = "none") -> None:
    linear = block.get_submodule(name)
    assert isinstance(linear, nn.Linear)
    block.set_submodule(name, PackedLinear(linear, activation))
