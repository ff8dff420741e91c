"""The processes that train together: one, or as many as torchrun started."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from save_avs.errors import SaveAvsError, UsageError
from save_avs.models.loading import resolve_device
from save_avs.training.choices import Precision, Sharding

Item = TypeVar("Item")

# What gloo, NCCL and torch's store say when the other end is gone.
LOST = ("closed by peer", "connection reset", "broken pipe", "timed out", "nccl", "gloo", "tcpstore")


class DistributedContext:
    """One process among those that train together, and what they do together.

    Started by ``torchrun`` they find each other through its environment; else there is one.

    Args:
        precision: ``bf16`` and ``fp16`` train under automatic mixed precision, ``fp16`` with a scaled loss.
        device: ``auto``, or as torch names it; under torchrun every process has a GPU of its own.
        sharding: ``none`` keeps a whole model in every process and averages gradients (DDP); ``full`` gives
            every process a slice of each weight, gradient and average (FSDP2), for models that one GPU
            does not hold.

    Raises:
        UsageError: when the device is not here, or cannot train in this precision.
    """

    def __init__(
        self, *, precision: Precision = "fp32", device: str = "auto", sharding: Sharding = "none"
    ) -> None:
        chosen = resolve_device(device)
        check_precision(precision, chosen)
        if chosen.index is not None:
            torch.cuda.set_device(chosen)
        AcceleratorState._reset_state()  # a program may train twice, in different precisions
        self._accelerator = Accelerator(
            cpu=chosen.type == "cpu", mixed_precision="no" if precision == "fp32" else precision
        )
        self.device = self._accelerator.device
        self.rank = self._accelerator.process_index
        self.count = self._accelerator.num_processes
        self.sharding: Sharding = sharding if self.count > 1 else "none"

    @property
    def main(self) -> bool:
        """Whether this one writes files and speaks."""
        return self._accelerator.is_main_process

    @property
    def scaler(self) -> Any:
        """The gradient scaler of fp16; None in other precisions."""
        return self._accelerator.scaler

    def autocast(self) -> AbstractContextManager[Any]:
        """Mixed precision inside the block, where it was asked for."""
        return self._accelerator.autocast()

    def spread(self, module: nn.Module) -> nn.Module:
        """The module to call for a loss: its gradients come out averaged over all processes."""
        if self.count == 1:
            return module
        if self.sharding == "full":
            return _shard(module, self.device.type, self.count)
        warnings.filterwarnings("ignore", "Grad strides do not match")  # 1 x 1 convolutions have no layout
        # a recipe may train parts that a stage's loss does not reach
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=True)

    def gathering(self, module: nn.Module, wanted: bool) -> AbstractContextManager[Any]:
        """Within the block, gradients are exchanged only where ``wanted``: the last part of a step."""
        if wanted or self.sharding == "full":
            return nullcontext()
        return self._accelerator.no_sync(module)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss."""
        self._accelerator.backward(loss)

    def total(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes, as float64 on the CPU."""
        if self.count == 1:
            return values.detach().double().cpu()
        return self._accelerator.reduce(values.detach().double().to(self.device), "sum").cpu()  # pyright: ignore

    def gather(self, items: Sequence[Item]) -> list[Item]:
        """Everyone's items in the order of the processes, in every process."""
        return list(items) if self.count == 1 else gather_object(list(items))

    def agreed(self, value: Item) -> Item:
        """What the main process holds, in every process."""
        return value if self.count == 1 else broadcast_object_list([value])[0]

    def wait(self) -> None:
        """Until every process is here."""
        self._accelerator.wait_for_everyone()

    def lost(self, error: BaseException) -> bool:
        """Whether an error says that another process is gone."""
        if self.count == 1 or isinstance(error, SaveAvsError) or not isinstance(error, RuntimeError):
            return False
        return any(sign in str(error).lower() for sign in LOST)


def check_precision(precision: Precision, device: torch.device) -> None:
    """See that a device can train in a precision.

    Raises:
        UsageError: when it cannot.
    """
    if precision == "fp16" and device.type == "cpu":
        raise UsageError("precision fp16 needs a GPU: choose bf16 or fp32")


def _shard(module: nn.Module, device: str, count: int) -> nn.Module:
    """Slice every transformer block, then the rest, over all processes: FSDP2."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    from save_avs.models.sam.image_encoder import Block

    mesh = init_device_mesh(device, (count,))
    for parameter in module.parameters():  # channels-last weights cannot be sliced
        parameter.data = parameter.data.contiguous()
    for part in module.modules():
        if isinstance(part, Block):
            fully_shard(part, mesh=mesh)
    fully_shard(module, mesh=mesh)
    return module
