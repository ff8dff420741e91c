"""One optimizer step: forward, loss, backward, gradient clipping, step, average."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from save_avs.training.collate import to_device
from save_avs.training.dataloader import MicroBatch
from save_avs.training.distributed import DistributedContext
from save_avs.training.ema import EMA
from save_avs.training.optimizer import Optimizers
from save_avs.training.stage_config import StageBase
from save_avs.training.tasks import Normalizer, Task


class TaskModule(nn.Module):
    """A task as a module, so that DDP and FSDP2 can wrap its calls."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task, self.task_modules = task, task.modules

    def forward(self, method: Literal["loss", "metrics", "images"], *args: Any) -> Any:
        """Call a method of the task."""
        return getattr(self.task, method)(*args)


class StepResult(NamedTuple):
    """Loss terms of a step over all processes, and whether the weights were updated."""

    terms: dict[str, float]
    finite: bool


class TrainStep:
    """Takes optimizer steps.

    However a step is split over processes and micro-batches, its loss is the same: each term is a sum over
    frames, divided by the number of frames of the whole step.
    """

    def __init__(self, task: Task, stage: StageBase, distributed: DistributedContext) -> None:
        self.distributed, self.grad_clip_norm = distributed, stage.grad_clip_norm
        self.task_module = TaskModule(task)
        self._wrapped = distributed.wrap(self.task_module)
        self.parameters = {n: p for n, p in task.modules.named_parameters() if p.requires_grad}
        self.ema = EMA(self.parameters, stage.ema_decay)
        self.optimizers = Optimizers(
            self.parameters,
            muon=stage.optimizer == "muon",
            lr=stage.lr,
            weight_decay=stage.weight_decay,
            betas=stage.betas,
        )

    def run(
        self, micro_batches: Sequence[MicroBatch], total: Normalizer, lr_factor: float, step: int
    ) -> StepResult:
        """Take step number ``step`` with ``lr_factor`` times the peak learning rate.

        Nothing is updated where the loss or its gradient is not finite.
        """
        distributed, scaler = self.distributed, self.distributed.scaler
        world_size = distributed.world_size
        # gradients are averaged over processes, not summed
        share = Normalizer(total.frames / world_size, total.annotated / world_size)
        sums: dict[str, Tensor] = {}
        for k, micro_batch in enumerate(micro_batches):
            last = k == len(micro_batches) - 1
            with nullcontext() if last else distributed.no_sync(self._wrapped):
                with distributed.autocast():
                    terms = self._wrapped("loss", to_device(micro_batch.batch, distributed.device), share)
                distributed.backward(terms["loss"])
            sums = {name: sums.get(name, 0) + value.detach() for name, value in terms.items()}
        values = torch.stack([value.float() for value in sums.values()])
        means = dict(zip(sums, (distributed.all_reduce(values) / world_size).tolist(), strict=True))

        if scaler is not None:
            for optimizer in self.optimizers.all:
                scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(self.parameters.values(), self.grad_clip_norm)
        norm_is_finite = bool(getattr(norm, "full_tensor", lambda: norm)().isfinite())

        # fp16 overflows now and then: its scaler skips the step and lowers the scale
        finite = (norm_is_finite or scaler is not None) and all(map(math.isfinite, means.values()))
        if finite:
            self.optimizers.step(lr_factor, scaler)
            self.ema.update(step)
        if scaler is not None:
            scaler.update()
        self.optimizers.zero_grad()
        return StepResult(means, finite)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint; a collective, so every process must call it."""
        scaler = self.distributed.scaler
        return {
            "ema": self.ema.state_dict(),
            "optimizers": self.optimizers.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.ema.load_state_dict(state["ema"])
        self.optimizers.load_state_dict(state["optimizers"])
        if self.distributed.scaler is not None and state["scaler"] is not None:
            self.distributed.scaler.load_state_dict(state["scaler"])
