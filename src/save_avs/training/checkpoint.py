"""What a run writes down to go on from: all that moves, and a sum of what stands still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from save_avs.errors import SaveAvsError
from save_avs.media.atomic import aside
from save_avs.model.base import bit_sum

KEYS = {"step", "frozen", "modules", "average", "optimizers", "best"}


def moving_state(modules: nn.Module) -> dict[str, Tensor]:
    """The state without the frozen parameters: trained ones and every buffer."""
    frozen = _frozen(modules)
    return {name: value for name, value in modules.state_dict().items() if name not in frozen}


def load_moving(modules: nn.Module, state: dict[str, Tensor]) -> None:
    """Put back what ``moving_state`` took.

    Raises:
        RuntimeError: when it is of other modules, or others of them are trained.
    """
    frozen = {name: p.detach() for name, p in _frozen(modules).items()}
    modules.load_state_dict({**frozen, **state})


def frozen_sum(modules: nn.Module) -> int:
    """A number that changes when any frozen parameter is another."""
    return sum(bit_sum(p) for p in _frozen(modules).values())


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; it appears whole or not at all."""
    with aside(path) as part:
        torch.save(state, part)


def read_checkpoint(path: Path, frozen: int) -> dict[str, Any]:
    """Read a checkpoint written beside frozen weights of this sum.

    Raises:
        SaveAvsError: when it is damaged, of another version, or was written beside other frozen weights.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a torn file may raise anything
        raise SaveAvsError(f"{path}: damaged or cut short; remove it to begin this stage again") from error
    if not isinstance(state, dict) or not state.keys() >= KEYS:
        raise SaveAvsError(
            f"{path}: no checkpoint of this version; remove it to begin this stage again, or go on with the "
            "version that wrote it"
        )
    if state["frozen"] != frozen:
        raise SaveAvsError(
            f"{path} belongs to other frozen weights than this recipe has: give the bases and the start it "
            "was begun with, or remove its folder to begin again"
        )
    return state


def _frozen(modules: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in modules.named_parameters() if not p.requires_grad}
