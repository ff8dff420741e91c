"""The optimizers of a stage, and the schedule of their learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from save_avs.training.dtensor import like, whole

MATRICES = "image_encoder.blocks."  # where Muon applies: the weight matrices of the transformer blocks


class Optimizers:
    """AdamW, and Muon beside it for the transformer blocks' weight matrices where the recipe says so.

    Muon orthogonalises the momentum of a matrix before it steps. Its step is scaled to AdamW's size, so both
    share one learning rate. Vectors (biases, norms, gates) are not decayed.

    Source: Loshchilov & Hutter 2019 (AdamW); Jordan et al. 2024 (Muon); Liu et al. 2025, arXiv 2502.16982,
    for the scale.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        *,
        muon: bool,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.98),
    ) -> None:
        self.lr = lr
        matrices = [
            p
            for n, p in parameters.items()
            if muon and MATRICES in n and n.endswith("weight") and p.ndim == 2
        ]
        chosen = {id(p) for p in matrices}
        rest = [p for p in parameters.values() if id(p) not in chosen]
        groups = [
            {"params": [p for p in rest if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        ]
        self.all: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)]
        if matrices:
            self.all.append(
                torch.optim.Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
            )

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return self.all[0].param_groups[0]["lr"]

    def step(self, factor: float, scaler: Any = None) -> None:
        """One step at ``factor`` times the peak learning rate, through the gradient scaler of fp16 if any."""
        for optimizer in self.all:
            for group in optimizer.param_groups:
                group["lr"] = self.lr * factor
            if scaler is None:
                optimizer.step()
            else:
                scaler.step(optimizer)

    def unscale(self, scaler: Any) -> None:
        """Divide the gradients by the scale of fp16."""
        for optimizer in self.all:
            scaler.unscale_(optimizer)

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for optimizer in self.all:
            optimizer.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, Any]]:
        """For a checkpoint: every tensor whole, on the CPU."""
        return [_whole(optimizer.state_dict()) for optimizer in self.all]

    def load(self, states: list[dict[str, Any]]) -> None:
        """From a checkpoint."""
        for optimizer, state in zip(self.all, states, strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            spread = {i: _like(parameters[i], values) for i, values in state["state"].items()}
            optimizer.load_state_dict({**state, "state": spread})


def _whole(state: dict[str, Any]) -> dict[str, Any]:
    values = {
        i: {k: whole(v) if isinstance(v, Tensor) else v for k, v in row.items()}
        for i, row in state["state"].items()
    }
    return {**state, "state": values}


def _like(parameter: nn.Parameter, values: dict[str, Any]) -> dict[str, Any]:
    """What an optimizer knows of a parameter, spread as the parameter is; step counts are not."""
    return {
        k: like(parameter, v) if isinstance(v, Tensor) and v.shape == parameter.shape else v
        for k, v in values.items()
    }


def cosine_with_warmup(step: int, steps: int, warmup: int, floor: float = 0.01) -> float:
    """Linear warm-up, then cosine to ``floor``: factor on the peak learning rate."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
