from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from save_avs.inference.postprocess import upscale_and_threshold
from save_avs.models.preprocess import postprocess_logits

SIZES = [(72, 128), (128, 72), (33, 17), (16, 16), (5, 90), (1, 1)]


def blobs(count: int, seed: int = 0, side: int = 16) -> torch.Tensor:
    """Smooth logits [count,side,side] with some islands above zero; none in the first."""
    coarse = torch.randn(count, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    logits = 4 * F.interpolate(coarse, size=(side, side), mode="bicubic")[:, 0] - 3
    logits[0] = -5
    return logits


@pytest.mark.parametrize("resize", ["squash", "pad"])
@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("cut", [0.0, -1.5, 1.2])
def test_masks_and_scores_equal_full_upscaling(resize, height, width, cut):
    logits = blobs(12)
    masks, scores, _ = upscale_and_threshold(logits, height, width, resize=resize, min_logit=cut)
    assert masks.dtype == torch.bool and masks.shape == (12, height, width)
    for frame, mask, score in zip(logits, masks, scores, strict=True):
        full = postprocess_logits(frame, height, width, resize)
        near = (full - cut).abs() < 1e-5  # where rounding decides
        assert torch.equal(mask | near, (full > cut) | near)
        inside = full.sigmoid()[mask]
        assert score.item() == pytest.approx(inside.mean().item() if len(inside) else 0, abs=1e-5)


def test_masks_at_the_border_are_upscaled_to_the_border():
    logits = torch.full((4, 16, 16), -4.0)
    logits[0, 0, 0] = logits[1, -1, -1] = logits[2, :, 7] = logits[3] = 4.0
    masks, _, _ = upscale_and_threshold(logits, 45, 80, resize="squash")
    assert masks[0, 0, 0] and masks[1, -1, -1] and masks[2, [0, -1]].any(1).all() and masks[3].all()
    assert [mask.sum().item() for mask in masks[:2]] == [masks[0].sum().item()] * 2


def test_masks_do_not_depend_on_the_other_frames_of_the_batch():
    logits = blobs(6)
    together, scores, _ = upscale_and_threshold(logits, 90, 160, resize="squash")
    for i in range(6):
        mask, score, _ = upscale_and_threshold(logits[i : i + 1], 90, 160, resize="squash")
        assert torch.equal(mask[0], together[i]) and score[0] == scores[i]


def test_bf16_logits_are_upscaled_in_float32():
    logits = blobs(3).bfloat16()
    masks, scores, _ = upscale_and_threshold(logits, 90, 160, resize="squash")
    same, same_scores, _ = upscale_and_threshold(logits.float(), 90, 160, resize="squash")
    assert torch.equal(masks, same) and torch.equal(scores, same_scores)
