"""The semantic head: shapes, that the masks do not know it, that it learns, saves and may be added later."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from save_avs.losses import class_loss
from save_avs.models import build_save, save_model
from save_avs.models.freeze import freeze_except
from save_avs.models.serialization import init_from_folder, load_folder
from tests.support.tiny_model import shake, tiny_batch, tiny_config, tiny_model

CLASSES = ("background", "dog", "bell", "guzheng")
NAMING = {"semantic": {"classes": CLASSES}}


def pair():
    """The same weights, without a semantic head and with one."""
    plain = tiny_model()
    shake(plain)
    named = tiny_model(**NAMING)
    named.load_state_dict({**named.state_dict(), **plain.state_dict()})
    return plain, named


@torch.no_grad()
def test_shapes_and_the_masks_of_a_model_without_it():
    plain, named = pair()
    images, log_mel = tiny_batch(3)
    masks, classes = named.segment_classes(images, log_mel)
    assert masks.shape == (3, 1, 16, 16) and classes.shape == (3, 4, 16, 16)
    assert torch.equal(masks, plain(images, log_mel)) and torch.equal(masks, named(images, log_mel))
    features = named.audio_backbone(log_mel)
    again = named.segment_classes(images, log_mel, features)
    assert torch.equal(again[0], masks) and torch.equal(again[1], classes)


@torch.no_grad()
def test_the_formula():
    _, named = pair()
    head = named.semantic
    shake(head)
    token, upscaled = torch.randn(2, 32), torch.randn(2, 4, 5, 5)
    logits = head(token, upscaled)
    for k in range(4):
        kernel = head.hypernetwork(token + head.embeddings[k])
        expected = (kernel[:, :, None, None] * upscaled).sum(1) + head.bias[k]
        assert torch.allclose(logits[:, k], expected, atol=1e-5)


@torch.no_grad()
def test_each_frame_meets_its_own_sound():
    _, named = pair()
    images, log_mel = tiny_batch(2)
    _, before = named.segment_classes(images, log_mel)
    log_mel[1] += 3
    changed = (named.segment_classes(images, log_mel)[1] - before).abs().amax(dim=(1, 2, 3))
    assert changed[1] > 1e-3 and changed[0] < 1e-4


def test_gradients_reach_all_of_it_and_what_it_reads():
    _, named = pair()
    freeze_except(named, ["adapter", "audio_adapter", "mask_decoder", "semantic"])
    images, log_mel = tiny_batch(4)
    labels = torch.randint(0, 4, (4, 16, 16), generator=torch.Generator().manual_seed(0))
    _, logits = named.segment_classes(images, log_mel)
    class_loss(logits, labels, torch.ones(4, dtype=torch.bool)).backward()
    reached = {n for n, p in named.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert {n for n, _ in named.named_parameters() if n.startswith("semantic.")} <= reached
    for part in ("mask_decoder.output_upscaling.0.weight", "mask_decoder.mask_tokens.weight", "adapter.gate"):
        assert any(part in name for name in reached)
    assert "audio_adapter.prompt_proj.weight" in reached
    assert not any("hypernetworks" in name for name in reached)  # the masks' own


def test_a_model_without_it_cannot_be_asked():
    with pytest.raises(ValueError, match="tiny has no semantic head"):
        tiny_model().segment_classes(*tiny_batch(1))
    assert tiny_model().semantic is None


def test_a_model_folder_keeps_it(tmp_path):
    named = tiny_model(**NAMING)
    folder = save_model(named, tmp_path)
    back = load_folder(folder)
    config = back.config
    assert config.semantic is not None and back.semantic is not None
    assert back.semantic.classes == CLASSES
    assert torch.equal(back.semantic.embeddings, named.semantic.embeddings)


def test_head_may_be_added_to_a_trained_model(tmp_path):
    plain, _ = pair()
    folder = save_model(plain, tmp_path)
    config = tiny_config(**NAMING)
    grown = build_save(config)
    init_from_folder(grown, folder)
    with torch.no_grad():
        assert torch.equal(grown.eval()(*tiny_batch(1)), plain(*tiny_batch(1)))


@pytest.mark.parametrize("classes", [("background",), tuple(map(str, range(256)))])
def test_too_few_or_too_many_classes(classes):
    with pytest.raises(ValidationError, match=r"semantic\.classes"):
        tiny_config(semantic={"classes": classes})
