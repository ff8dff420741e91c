"""A moving average of the trained weights: what is validated and kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from save_avs.training.dtensor import local, put, whole


class EMA:
    """shadow = decay * shadow + (1 - decay) * weight, after every step.

    The decay starts low, (1 + step) / (10 + step), so that the first weights are soon forgotten. With a decay
    of 0 the average is the weights, and no second set of them is held.
    """

    def __init__(self, parameters: dict[str, nn.Parameter], decay: float) -> None:
        self.parameters = parameters
        self.decay = decay
        self.shadow = {name: p.detach().clone() for name, p in parameters.items() if decay}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights as they stand after ``step`` steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, shadow in self.shadow.items():
            local(shadow).lerp_(local(self.parameters[name].detach()), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the model has the averaged weights."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the model's weights and their averages."""
        for name, shadow in self.shadow.items():
            weight, average = local(self.parameters[name].detach()), local(shadow)
            held = weight.clone()
            weight.copy_(average)
            average.copy_(held)

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint: every average whole, on the CPU."""
        return {name: whole(value) for name, value in self.shadow.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """From a checkpoint."""
        for name, shadow in self.shadow.items():
            put(shadow, state[name])
