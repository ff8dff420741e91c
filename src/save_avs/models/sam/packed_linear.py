"""Linear layers whose weights are stored in the layout in which the CPU multiplies them.

A plain weight is repacked at every product. Packed once, it is not; and what follows the product (the bias,
GELU) is computed while the result is still in the registers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

TOKENS = 2048  # rows that the layout is chosen for: eight frames of 256 px; any number can be multiplied


class PackedLinear(nn.Module):
    """``activation(W x + b)`` for inference, [...,in] -> [...,out], in the dtype of its weights.

    The packed weight is no parameter: it has a layout of its own, and can be neither saved nor trained.

    Args:
        linear: on the CPU; it is not changed.
        activation: ``none`` or ``gelu`` (the exact one).
    """

    def __init__(self, linear: nn.Linear, activation: str = "none") -> None:
        super().__init__()
        self.bias = linear.bias
        self.activation = activation
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), TOKENS)

    def forward(self, x: Tensor) -> Tensor:
        """[...,in] -> [...,out]; a ValueError when a gradient is wanted."""
        if x.requires_grad and torch.is_grad_enabled():
            raise ValueError("packed weights have no gradient: load the model with precision='fp32'")
        return torch.ops.mkldnn._linear_pointwise(x, self._weight, self.bias, self.activation, [], "none")


def can_pack() -> bool:
    """Whether this torch has the (undocumented) operators that packing needs."""
    names = ("_linear_pointwise", "_reorder_linear_weight")
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in names)


def pack_linear_layers(blocks: nn.ModuleList) -> None:
    """Pack the linear layers of an image encoder's blocks, in place; adapters in them are left alone."""
    for block in blocks:
        for name in ("attn.qkv", "attn.proj", "mlp.lin1", "mlp.lin2"):
            linear = block.get_submodule(name)
            assert isinstance(linear, nn.Linear)
            block.set_submodule(name, PackedLinear(linear, "gelu" if name == "mlp.lin1" else "none"))
        block.set_submodule("mlp.act", nn.Identity())
