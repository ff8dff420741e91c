from __future__ import annotations

import pytest

from save_avs.models.adapters import freeze_except
from tests.support.tiny_model import tiny_model


def names(model) -> set[str]:
    return {n for n, p in model.named_parameters() if p.requires_grad}


def test_only_what_is_named_trains():
    model = tiny_model()
    trained = freeze_except(model, ["adapter", "sam.mask_decoder"])
    assert set(trained) == names(model)
    every = [n for n, _ in model.named_parameters()]
    assert names(model) == {n for n in every if ".adapter." in n or n.startswith("sam.mask_decoder.")}


def test_a_name_is_whole_parts_of_the_dotted_name():
    model = tiny_model()
    freeze_except(model, ["adapter"])
    assert not any(n.startswith("audio_adapter") for n in names(model))
    freeze_except(model, ["audio_adapter"])
    assert names(model) == {n for n, _ in model.named_parameters() if n.startswith("audio_adapter.")}
    freeze_except(model, ["image_encoder.blocks.1.adapter"])
    assert names(model) and all(n.startswith("sam.image_encoder.blocks.1.adapter.") for n in names(model))


def test_a_later_call_undoes_an_earlier_one():
    model = tiny_model()
    freeze_except(model, ["sam"])
    freeze_except(model, ["audio_adapter"])
    assert not any(n.startswith("sam") for n in names(model))


def test_what_stands_still_keeps_its_running_statistics():
    model = tiny_model().train()
    freeze_except(model, ["adapter"])
    assert not any(m.training for m in model.audio_backbone.modules())
    assert model.sam.image_encoder.blocks[0].adapter.training
    model.train()
    freeze_except(model, ["audio_backbone"])
    assert all(m.training for m in model.audio_backbone.modules() if list(m.parameters()))


def test_an_unknown_name():
    with pytest.raises(ValueError, match=r"nothing to train is called adaptor, sam\.decoder"):
        freeze_except(tiny_model(), ["adaptor", "sam.mask_decoder", "sam.decoder"])
