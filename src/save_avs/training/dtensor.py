"""Tensors that may be spread over processes: the whole of one, and one's slice of a whole."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def whole(tensor: Tensor) -> Tensor:
    """A tensor with all its slices, on the CPU; every process must ask for it."""
    tensor = tensor.detach()
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).cpu()


def local(tensor: Tensor) -> Tensor:
    """The slice that this process holds, sharing its memory; all of a tensor that is not spread."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def put(tensor: Tensor, value: Tensor) -> None:
    """Copy a whole value into a tensor, or each process its slice of it.

    Raises:
        RuntimeError: when their shapes differ.
    """
    if tensor.shape != value.shape:
        raise RuntimeError(f"{list(value.shape)} does not fit {list(tensor.shape)}")
    tensor.copy_(like(tensor, value))


def like(tensor: Tensor, value: Tensor) -> Tensor:
    """A whole value of a tensor's shape, spread as the tensor is."""
    if not isinstance(tensor, DTensor):
        return value
    return distribute_tensor(value.to(tensor.device), tensor.device_mesh, tensor.placements)
