"""AdamW, optionally with Muon for the matrices of the transformer blocks."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from save_avs.training.distributed import shard_like

MUON_MODULES = "image_encoder.blocks."


class Optimizers:
    """AdamW, and Muon for the weight matrices of the transformer blocks if asked for.

    Muon orthogonalizes the momentum of a matrix before its step. The step is scaled to AdamW's size, so both
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
        self.peak_lr = lr
        matrices = {
            n: p
            for n, p in parameters.items()
            if muon and MUON_MODULES in n and n.endswith("weight") and p.ndim == 2
        }
        rest = [p for n, p in parameters.items() if n not in matrices]
        groups = [
            {"params": [p for p in rest if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        ]
        self.all: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)]
        if matrices:
            self.all.append(
                torch.optim.Muon(
                    list(matrices.values()), lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
                )
            )

    @property
    def lr(self) -> float:
        """The learning rate of the last step."""
        return self.all[0].param_groups[0]["lr"]

    def step(self, lr_factor: float, scaler: Any = None) -> None:
        """Step with ``lr_factor`` times the peak learning rate, through the fp16 gradient scaler if any."""
        for optimizer in self.all:
            for group in optimizer.param_groups:
                group["lr"] = self.peak_lr * lr_factor
            if scaler is None:
                optimizer.step()
            else:
                scaler.step(optimizer)

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for optimizer in self.all:
            optimizer.zero_grad(set_to_none=True)

    def parameters(self) -> list[list[nn.Parameter]]:
        """Return the parameters of each optimizer, in the order of its state."""
        return [[p for group in optimizer.param_groups for p in group["params"]] for optimizer in self.all]

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the states; where the model is sharded, the shards of this process."""
        return [optimizer.state_dict() for optimizer in self.all]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Restore the states, sharded as the parameters are."""
        for optimizer, parameters, state in zip(self.all, self.parameters(), states, strict=True):
            sharded = {i: _sharded(parameters[i], values) for i, values in state["state"].items()}
            optimizer.load_state_dict({**state, "state": sharded})


def _sharded(parameter: nn.Parameter, values: dict[str, Any]) -> dict[str, Any]:
    """Shard the optimizer's tensors of a parameter as the parameter is; step counts are not sharded."""
    return {
        k: shard_like(parameter, v) if isinstance(v, Tensor) and v.shape == parameter.shape else v
        for k, v in values.items()
    }
