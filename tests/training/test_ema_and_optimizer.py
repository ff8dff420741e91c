from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from save_avs.training.ema import EMA
from save_avs.training.optimizer import Optimizers
from save_avs.training.stage_schedule import cosine_with_warmup


def test_cosine_with_warmup_formula():
    rates = [cosine_with_warmup(step, 100, 10) for step in range(101)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.01 + 0.99 * 0.5)
    assert rates[100] == pytest.approx(0.01)
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert rates[30] == pytest.approx(0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * 20 / 90)))


def test_warmup_longer_than_the_stage():
    assert cosine_with_warmup(4, 5, 10) == 0.5


def test_ema_follows_its_formula():
    weight = nn.Parameter(torch.zeros(3))
    average = EMA({"w": weight}, decay=0.9)
    expected = 0.0
    for step in range(1, 200):
        with torch.no_grad():
            weight.fill_(step)
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert average.shadow["w"].tolist() == pytest.approx([expected] * 3, rel=1e-5)


def test_ema_applied_restores_the_weights_after_an_error():
    weight = nn.Parameter(torch.ones(2))
    average = EMA({"w": weight}, decay=0.5)
    with torch.no_grad():
        weight.fill_(5.0)
    with pytest.raises(RuntimeError), average.applied():
        assert weight.tolist() == [1.0, 1.0]
        raise RuntimeError
    assert weight.tolist() == [5.0, 5.0] and average.shadow["w"].tolist() == [1.0, 1.0]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image_encoder = nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(4, 4)])})
        self.head = nn.Linear(4, 2)


@pytest.mark.parametrize("muon", [False, True])
def test_every_parameter_has_one_optimizer_and_vectors_do_not_decay(muon):
    net = Net()
    parameters = dict(net.named_parameters())
    optimizers = Optimizers(parameters, muon=muon, lr=0.1, weight_decay=0.3)
    groups = [group for optimizer in optimizers.all for group in optimizer.param_groups]
    owned = [id(p) for group in groups for p in group["params"]]
    assert sorted(owned) == sorted(id(p) for p in parameters.values())
    for group in groups:
        for p in group["params"]:
            assert group["weight_decay"] == (0.3 if p.ndim == 2 else 0.0)
    assert len(optimizers.all) == (2 if muon else 1)
    if muon:
        (matrix,) = optimizers.all[1].param_groups[0]["params"]
        assert matrix is parameters["image_encoder.blocks.0.weight"]


def test_step_scales_the_peak_learning_rate():
    net = Net()
    optimizers = Optimizers(dict(net.named_parameters()), muon=True, lr=0.1, weight_decay=0.0)
    net.head(net.image_encoder["blocks"][0](torch.ones(1, 4))).sum().backward()
    optimizers.step(0.25)
    assert {g["lr"] for o in optimizers.all for g in o.param_groups} == {0.025}
    optimizers.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_ema_with_decay_zero_has_no_shadow():
    weight = torch.nn.Parameter(torch.ones(2))
    average = EMA({"w": weight}, decay=0.0)
    weight.data.fill_(5.0)
    average.update(1)
    with average.applied():
        assert weight.tolist() == [5.0, 5.0]
    assert not average.state_dict()
    average.load_state_dict({"w": torch.zeros(2)})  # of a checkpoint that was written with one
    assert weight.tolist() == [5.0, 5.0]
