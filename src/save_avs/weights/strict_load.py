"""Strict loading: a state dict fits a module entirely, or every difference is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from save_avs.errors import SaveAvsError


def state_dict_mismatches(module: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """What keeps a state dict from fitting a module: one phrase a kind, every key named; empty if it fits."""
    own = module.state_dict()
    shapes = [
        f"{key} is {list(state[key].shape)} instead of {list(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    found = (
        ("missing", [key for key in own if key not in state]),
        ("unexpected", [key for key in state if key not in own]),
        ("mis-shaped", shapes),
    )
    return [f"{len(keys)} {kind}: {_listed(keys)}" for kind, keys in found if keys]


def strict_load(module: nn.Module, state: Mapping[str, Tensor], *, source: str, assign: bool = False) -> None:
    """Put a state dict into a module, all of it or nothing.

    Args:
        module: keeps its own precision and device, unless assigned to.
        state: as many keys, of the same names and shapes, as the module has.
        source: where the state comes from, for the message.
        assign: make the tensors themselves the module's parameters, as a module on the meta device needs.

    Raises:
        SaveAvsError: when anything differs; the line names every missing, unexpected and mis-shaped key.
    """
    wrong = state_dict_mismatches(module, state)
    if wrong:
        raise SaveAvsError(f"{source} does not fit {type(module).__name__}; {'; '.join(wrong)}")
    module.load_state_dict(state, assign=assign)


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(keys)
