"""Freezing: named parts are trained, everything else is frozen."""

from collections.abc import Iterable

from torch import nn


def freeze_except(model: nn.Module, trainable: Iterable[str]) -> list[str]:
    """Train only the parameters whose dotted name contains one of ``trainable`` as consecutive parts.

    ``"adapter"`` matches ``sam.image_encoder.blocks.0.adapter.gate``; ``"mask_decoder"`` the whole decoder.
    A module without a trainable parameter is put into evaluation mode, so that its running statistics do not
    change; call this again after ``model.train()``.

    Returns:
        The names of the trainable parameters, in the model's order.

    Raises:
        ValueError: when a name matches nothing.
    """
    wanted = dict.fromkeys(trainable)
    matched: set[str] = set()
    names: list[str] = []
    for name, parameter in model.named_parameters():
        hits = {part for part in wanted if f".{part}." in f".{name}."}
        matched |= hits
        parameter.requires_grad_(bool(hits))
        if hits:
            names.append(name)
    if unmatched := [part for part in wanted if part not in matched]:
        raise ValueError(f"no parameter to train is named {', '.join(unmatched)}")
    for module in model.modules():
        if not any(p.requires_grad for p in module.parameters()):
            module.eval()
    return names
