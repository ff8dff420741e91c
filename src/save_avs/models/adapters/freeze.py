"""Freezing: what is trained is named, all else stands still."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn


def freeze_except(model: nn.Module, trained: Iterable[str]) -> list[str]:
    """Train only the parameters whose dotted name holds one of ``trained`` as a run of its parts.

    ``"adapter"`` matches ``sam.image_encoder.blocks.0.adapter.gate``; ``"mask_decoder"`` the whole decoder.
    A module without a trained parameter goes to evaluation mode, so that its running statistics stand still;
    call this again after ``model.train()``.

    Returns:
        The names of the parameters that train, in the model's order.

    Raises:
        ValueError: when a name matches nothing.
    """
    wanted = [tuple(name.split(".")) for name in trained]
    matched, names = set(), []
    for name, parameter in model.named_parameters():
        hits = {w for w in wanted if _holds(tuple(name.split(".")), w)}
        matched |= hits
        parameter.requires_grad_(bool(hits))
        if hits:
            names.append(name)
    missing = [".".join(w) for w in wanted if w not in matched]
    if missing:
        raise ValueError(f"nothing to train is called {', '.join(missing)}")
    for module in model.modules():
        if not any(p.requires_grad for p in module.parameters()):
            module.eval()
    return names


def _holds(parts: tuple[str, ...], run: tuple[str, ...]) -> bool:
    return any(parts[i : i + len(run)] == run for i in range(len(parts) - len(run) + 1))
