"""Strict loading takes all or nothing, and names every difference."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from save_avs.errors import SaveAvsError
from save_avs.weights.state_dict import state_dict_mismatches, strict_load


def test_a_fitting_state_is_loaded() -> None:
    source, target = nn.Linear(2, 3), nn.Linear(2, 3)
    strict_load(target, source.state_dict(), source="x")
    assert state_dict_mismatches(target, source.state_dict()) == []
    assert torch.equal(target.weight, source.weight)


def test_assigning_fills_a_module_on_the_meta_device() -> None:
    source = nn.Linear(2, 3)
    with torch.device("meta"):
        target = nn.Linear(2, 3)
    strict_load(target, source.state_dict(), source="x", assign=True)
    assert torch.equal(target.weight, source.weight)
    assert target.weight.requires_grad


def test_load_changes_no_weights_if_a_key_or_shape_differs() -> None:
    target = nn.Linear(2, 3)
    before = target.bias.detach().clone()
    with pytest.raises(SaveAvsError, match="a file does not fit Linear") as error:
        strict_load(target, {"bias": before + 1, "weight": torch.zeros(3, 9), "odd": before}, source="a file")
    assert torch.equal(target.bias, before)
    assert "1 unexpected: odd" in str(error.value)
    assert "1 mis-shaped: weight is [3, 9] instead of [3, 2]" in str(error.value)
    assert state_dict_mismatches(target, {"bias": before}) == ["1 missing: weight"]
