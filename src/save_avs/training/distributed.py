"""Distributed training with DDP or FSDP2: one process, or as many as torchrun started; sharded tensors."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from save_avs.errors import SaveAvsError, UsageError
from save_avs.runtimes.loading import resolve_device
from save_avs.training.recipe import Precision, Sharding

T = TypeVar("T")

# Parts of the messages of gloo, NCCL and torch's store when the other end is gone.
PEER_FAILURES = ("closed by peer", "connection reset", "broken pipe", "timed out", "nccl", "gloo", "tcpstore")


class DistributedContext:
    """One training process and its collectives with the others.

    Processes started by ``torchrun`` find each other through its environment; else there is one.

    Args:
        precision: ``bf16`` and ``fp16`` train under automatic mixed precision, ``fp16`` with a scaled loss.
        device: ``auto``, or as torch names it; under torchrun every process has a GPU of its own.
        sharding: ``none`` keeps the whole model in every process and averages gradients (DDP); ``full`` gives
            every process a slice of each weight, gradient and average (FSDP2): for very large models.
    """

    def __init__(
        self, *, precision: Precision = "fp32", device: str = "auto", sharding: Sharding = "none"
    ) -> None:
        resolved = resolve_device(device)
        check_precision(precision, resolved)
        if resolved.index is not None:
            torch.cuda.set_device(resolved)
        AcceleratorState._reset_state()  # a program may train twice, in different precisions
        self._accelerator = Accelerator(
            cpu=resolved.type == "cpu", mixed_precision="no" if precision == "fp32" else precision
        )
        self.autocast = self._accelerator.autocast  # mixed precision within a block, if it is on
        self.backward = self._accelerator.backward
        self.barrier = self._accelerator.wait_for_everyone
        self.scaler: Any = self._accelerator.scaler  # of fp16's gradients; None in other precisions
        self.is_main = self._accelerator.is_main_process  # writes files and reports
        self.device = self._accelerator.device
        self.rank = self._accelerator.process_index
        self.world_size = self._accelerator.num_processes
        self.sharded = sharding == "full" and self.world_size > 1
        # of its own, since shards are written beside training
        self.checkpoint_group: Any = torch.distributed.new_group(backend="gloo") if self.sharded else None

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return the module to call for a loss: its gradients are averaged over all processes."""
        if self.world_size == 1:
            return module
        if self.sharded:
            return _shard(module, self.device.type, self.world_size)
        warnings.filterwarnings("ignore", "Grad strides do not match")  # 1 x 1 convolutions have no layout
        # a recipe may train modules that a stage's loss does not reach
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=True)

    def no_sync(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Keep the gradients of a block to this process, for all but the last micro-batch of a step.

        FSDP2 reduces them anyway: a process does not hold the gradients of all slices.
        """
        return nullcontext() if self.sharded else self._accelerator.no_sync(module)

    def all_reduce(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes, as float64 on the CPU."""
        if self.world_size == 1:
            return values.detach().double().cpu()
        return self._accelerator.reduce(values.detach().double().to(self.device), "sum").cpu()  # pyright: ignore

    def all_gather(self, items: Sequence[T]) -> list[T]:
        """Return the objects of all processes in the order of their ranks."""
        return list(items) if self.world_size == 1 else gather_object(list(items))

    def broadcast(self, value: T) -> T:
        """Return the main process's object."""
        return value if self.world_size == 1 else broadcast_object_list([value])[0]

    def on_main(self, action: Callable[[], None]) -> None:
        """Run an action with files in the main process; if it fails, its error is raised in all processes."""
        problem = None
        if self.is_main:
            try:
                action()
            except (SaveAvsError, OSError) as error:
                problem = error
        if problem := self.broadcast(problem):
            raise problem

    def is_peer_failure(self, error: BaseException) -> bool:
        """Return whether an error says that another process is gone."""
        if self.world_size == 1 or isinstance(error, SaveAvsError) or not isinstance(error, RuntimeError):
            return False
        return any(sign in str(error).lower() for sign in PEER_FAILURES)


def check_precision(precision: Precision, device: torch.device) -> None:
    """Raise a UsageError if a device cannot train in a precision."""
    if precision == "fp16" and device.type == "cpu":
        raise UsageError("precision=fp16 requires a GPU: use bf16 or fp32")


def _shard(module: nn.Module, device: str, world_size: int) -> nn.Module:
    """Slice every transformer block, then the rest, over all processes: FSDP2."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    from save_avs.models.sam.image_encoder import Block

    mesh = init_device_mesh(device, (world_size,))
    for parameter in module.parameters():  # channels-last weights cannot be sliced
        parameter.data = parameter.data.contiguous()
    for part in module.modules():
        if isinstance(part, Block):
            fully_shard(part, mesh=mesh)
    fully_shard(module, mesh=mesh)
    return module


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
