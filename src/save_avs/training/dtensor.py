"""Tensors that may be sharded over processes (DTensor): full values, local shards, copies."""

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def full_tensor(tensor: Tensor) -> Tensor:
    """Gather a tensor on the CPU; a collective, so every process must call it."""
    tensor = tensor.detach()
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).cpu()


def local_tensor(tensor: Tensor) -> Tensor:
    """Return this process's shard, sharing its memory; the tensor itself where it is not sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def copy_into(tensor: Tensor, value: Tensor) -> None:
    """Copy a value, sharded or not, into a tensor; a RuntimeError if their shapes differ."""
    if tensor.shape != value.shape:
        raise RuntimeError(f"{list(value.shape)} does not fit {list(tensor.shape)}")
    tensor.copy_(shard_like(tensor, value))


def shard_like(tensor: Tensor, value: Tensor) -> Tensor:
    """Shard a full value as a tensor of the same shape is sharded; one that is sharded already stays so."""
    if not isinstance(tensor, DTensor) or isinstance(value, DTensor):
        return value
    return distribute_tensor(value.to(tensor.device), tensor.device_mesh, tensor.placements)
