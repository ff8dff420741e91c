"""Exponential moving average of the trained weights: what is validated and saved."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from save_avs.training.distributed import copy_into, local_tensor


class EMA:
    """shadow = decay * shadow + (1 - decay) * weight, after every step.

    The decay starts at (1 + step) / (10 + step), so that the first weights are soon forgotten. With a decay
    of 0 there is no shadow: the average is the weights.
    """

    def __init__(self, parameters: dict[str, nn.Parameter], decay: float) -> None:
        self.parameters = parameters
        self.decay = decay
        self.shadow = {name: p.detach().clone() for name, p in parameters.items() if decay}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights after ``step`` steps to the average."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, shadow in self.shadow.items():
            local_tensor(shadow).lerp_(local_tensor(self.parameters[name].detach()), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model the averaged weights within the block."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the model's weights and their averages."""
        for name, shadow in self.shadow.items():
            weight, average = local_tensor(self.parameters[name].detach()), local_tensor(shadow)
            previous = weight.clone()
            weight.copy_(average)
            average.copy_(previous)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averages; where the model is sharded, the shards of this process."""
        return dict(self.shadow)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the averages."""
        for name, shadow in self.shadow.items():
            copy_into(shadow, state[name])
