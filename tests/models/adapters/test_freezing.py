from __future__ import annotations

import pytest

from save_avs.models.freeze import freeze_except
from tests.support.tiny_model import tiny_model


def names(model) -> set[str]:
    return {n for n, p in model.named_parameters() if p.requires_grad}


def test_only_named_parts_are_trainable():
    model = tiny_model()
    trained = freeze_except(model, ["adapter", "sam.mask_decoder"])
    assert set(trained) == names(model)
    every = [n for n, _ in model.named_parameters()]
    assert names(model) == {n for n in every if ".adapter." in n or n.startswith("sam.mask_decoder.")}


def test_names_match_whole_parts():
    model = tiny_model()
    freeze_except(model, ["adapter"])
    assert not any(n.startswith("audio_adapter") for n in names(model))
    freeze_except(model, ["audio_adapter"])
    assert names(model) == {n for n, _ in model.named_parameters() if n.startswith("audio_adapter.")}
    freeze_except(model, ["image_encoder.blocks.1.adapter"])
    assert names(model) and all(n.startswith("sam.image_encoder.blocks.1.adapter.") for n in names(model))


def test_later_call_replaces_an_earlier_one():
    model = tiny_model()
    freeze_except(model, ["sam"])
    freeze_except(model, ["audio_adapter"])
    assert not any(n.startswith("sam") for n in names(model))


def test_frozen_modules_are_in_eval_mode():
    model = tiny_model().train()
    freeze_except(model, ["adapter"])
    assert not any(m.training for m in model.audio_backbone.modules())
    assert model.sam.image_encoder.blocks[0].adapter.training
    model.train()
    freeze_except(model, ["audio_backbone"])
    assert all(m.training for m in model.audio_backbone.modules() if list(m.parameters()))


def test_unknown_names_are_rejected():
    with pytest.raises(ValueError, match=r"no parameter to train is named adaptor, sam\.decoder"):
        freeze_except(tiny_model(), ["adaptor", "sam.mask_decoder", "sam.decoder"])
