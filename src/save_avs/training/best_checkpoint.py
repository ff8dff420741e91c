"""The best weights a stage has had, by the validation figure its task chooses by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from save_avs.training.checkpoint import load_moving, moving_state, read_state, write_state

BEST = "best.pt"


class Best:
    """Keeps them in a file.

    Args:
        folder: of the stage.
        monitor: the figure whose highest value is the best; without one, nothing is kept.
    """

    def __init__(self, folder: Path, monitor: str | None) -> None:
        self.path, self.monitor = folder / BEST, monitor
        self.value, self.step = -math.inf, 0

    def beaten_by(self, figures: Mapping[str, float]) -> bool:
        """Whether a validation is better than all before."""
        return self.monitor is not None and figures[self.monitor] > self.value

    def taken(self, step: int, figures: Mapping[str, float], modules: nn.Module) -> Callable[[], None]:
        """The model as it is now is the best; returns what writes it, for the main process.

        Every process must come here: weights may be spread over them.
        """
        assert self.monitor is not None
        self.value, self.step = figures[self.monitor], step
        state = {"step": step, "figures": dict(figures), "modules": moving_state(modules)}
        return lambda: write_state(self.path, state)

    def restore(self, modules: nn.Module) -> dict[str, float]:
        """Put the best weights into the model; returns their figures.

        Raises:
            SaveAvsError: when the file is damaged.
        """
        state = read_state(self.path)
        load_moving(modules, state["modules"])
        return state["figures"]

    def state(self) -> tuple[float, int]:
        """For a checkpoint."""
        return self.value, self.step

    def load(self, state: Any) -> None:
        """From a checkpoint."""
        self.value, self.step = state
