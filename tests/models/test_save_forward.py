from __future__ import annotations

import torch

from tests.support.tiny_model import shake, tiny_batch, tiny_model


def shaken():
    model = tiny_model()
    shake(model)
    return model


@torch.no_grad()
def test_batch_pairs_each_frame_with_its_sound():
    model = shaken()
    images, log_mel = tiny_batch(3)
    together = model(images, log_mel)
    assert together.shape == (3, 1, 16, 16)
    for i in range(3):
        alone = model(images[i : i + 1], log_mel[i : i + 1])
        assert torch.allclose(together[i : i + 1], alone, atol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


@torch.no_grad()
def test_sound_changes_only_its_frame():
    model = shaken()
    images, log_mel = tiny_batch(3)
    before = model(images, log_mel)
    log_mel[1] += 3
    changed = (model(images, log_mel) - before).abs().amax(dim=(1, 2, 3))
    assert changed[1] > 1e-2 and max(changed[0], changed[2]) < 1e-4


@torch.no_grad()
def test_sound_affects_masks_by_prompt_or_injections_alone():
    images, log_mel = tiny_batch(1)
    for options in ({"tokens": 1, "inject_into": "none"}, {"tokens": 0, "inject_into": "all"}):
        model = tiny_model(audio_adapter={"hidden": 24, **options})
        shake(model)
        assert not torch.allclose(model(images, log_mel), model(images, log_mel + 3), atol=1e-2)


@torch.no_grad()
def test_byte_and_float_images_give_equal_logits():
    model = shaken()
    images, log_mel = tiny_batch(1)
    assert torch.equal(model(images, log_mel), model(images.float(), log_mel))
