"""One optimizer step of all processes: losses of its parts, gradients, clipping, the step, the average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from save_avs.training.bad_sample_guard import Portion
from save_avs.training.collate import to_device
from save_avs.training.distributed import DistributedContext
from save_avs.training.ema import EMA
from save_avs.training.optimizer import Optimizers
from save_avs.training.stage import StageBase
from save_avs.training.tasks import Normalizer, Task


class Learner(nn.Module):
    """A task as a module: what spreads modules over processes wraps the call of one."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task, self.parts = task, task.modules

    def forward(self, ask: Literal["loss", "score", "pictures"], *given: Any) -> Any:
        """What the task answers."""
        return getattr(self.task, ask)(*given)


class Outcome(NamedTuple):
    """Loss terms of a whole step, over all processes, and whether the weights moved."""

    terms: dict[str, float]
    finite: bool


class Update:
    """Takes optimizer steps.

    However a step is shared by processes and parts, its loss is the same: each term is a sum over frames,
    over the number of frames of the whole step.

    Args:
        task: already on its device.
        stage: optimizer, learning rate, clipping.
        processes: that share a step.
    """

    def __init__(self, task: Task, stage: StageBase, processes: DistributedContext) -> None:
        self.processes, self.grad_clip_norm = processes, stage.grad_clip_norm
        self.learner = Learner(task)
        self._spread = processes.spread(self.learner)
        trained = {n: p for n, p in task.modules.named_parameters() if p.requires_grad}
        self.average = EMA(trained, stage.ema_decay)
        self.optimizers = Optimizers(
            trained,
            muon=stage.optimizer == "muon",
            lr=stage.lr,
            weight_decay=stage.weight_decay,
            betas=stage.betas,
        )

    def step(self, portions: Sequence[Portion], whole: Normalizer, factor: float, number: int) -> Outcome:
        """Take a step at ``factor`` times the peak learning rate; ``number`` steps were made with it.

        Nothing moves where the loss or its gradient is not finite.
        """
        terms = self._differentiate(portions, whole)
        scaler = self.processes.scaler
        # fp16 overflows now and then: its scaler leaves the weights alone then, and the scale sinks
        finite = (self._clip() or scaler is not None) and all(map(math.isfinite, terms.values()))
        if finite:
            self.optimizers.step(factor, scaler)
            self.average.update(number)
        if scaler is not None:
            scaler.update()
        self.optimizers.zero_grad()
        return Outcome(terms, finite)

    def _differentiate(self, portions: Sequence[Portion], whole: Normalizer) -> dict[str, float]:
        """Add up the gradients of all parts; returns the terms of the whole step."""
        count = self.processes.count
        share = Normalizer(*(n / count for n in whole))  # gradients are averaged over processes, not summed
        sums: dict[str, Tensor] = {}
        for k, portion in enumerate(portions):
            with self.processes.gathering(self._spread, wanted=k == len(portions) - 1):
                with self.processes.autocast():
                    terms = self._spread("loss", to_device(portion.batch, self.processes.device), share)
                self.processes.backward(terms["loss"])
            sums = {name: sums.get(name, 0) + value.detach() for name, value in terms.items()}
        total = self.processes.total(torch.stack([value.float() for value in sums.values()])) / count
        return dict(zip(sums, total.tolist(), strict=True))

    def _clip(self) -> bool:
        """Shorten the gradient to the longest that is allowed; whether it is finite."""
        if self.processes.scaler is not None:
            self.optimizers.unscale(self.processes.scaler)
        norm = nn.utils.clip_grad_norm_(self.average.parameters.values(), self.grad_clip_norm)
        return bool(getattr(norm, "full_tensor", lambda: norm)().isfinite())

    def state(self) -> dict[str, Any]:
        """For a checkpoint; every process must ask."""
        scaler = self.processes.scaler
        return {
            "average": self.average.state(),
            "optimizers": self.optimizers.state(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.average.load(state["average"])
        self.optimizers.load(state["optimizers"])
        if self.processes.scaler is not None and state["scaler"] is not None:
            self.processes.scaler.load_state_dict(state["scaler"])
