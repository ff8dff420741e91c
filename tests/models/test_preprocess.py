from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from save_avs.models.preprocess import PAD_COLOR, postprocess_logits, preprocess_frames


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_squash_equals_pillow_bilinear_within_one_level():
    frames = noise(2, 90, 160, 3)
    square = preprocess_frames(frames, 32, "squash")
    assert square.dtype == torch.uint8 and square.shape == (2, 3, 32, 32)
    for got, frame in zip(square, frames, strict=True):
        expected = np.asarray(Image.fromarray(frame).resize((32, 32), Image.Resampling.BILINEAR))
        assert np.abs(got.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("height", "width", "inner"), [(90, 160, (18, 32)), (160, 90, (32, 18)), (1, 500, (1, 32))]
)
def test_pad_keeps_the_aspect_ratio_and_fills_with_the_mean_color(height, width, inner):
    square = preprocess_frames(np.full((1, height, width, 3), 255, dtype=np.uint8), 32, "pad")[0]
    assert square.shape == (3, 32, 32)
    assert (square[:, : inner[0], : inner[1]] == 255).all()
    outside = torch.ones(32, 32, dtype=torch.bool)
    outside[: inner[0], : inner[1]] = False
    assert (square[:, outside] == torch.tensor(PAD_COLOR).view(3, 1)).all()


@pytest.mark.parametrize("resize", ["squash", "pad"])
@pytest.mark.parametrize(("height", "width"), [(90, 160), (160, 90), (64, 64)])
def test_postprocess_inverts_preprocess(resize, height, width):
    frame = np.zeros((1, height, width, 3), dtype=np.uint8)
    frame[:, height // 4 : height // 2, width // 4 : width // 2] = 255
    square = preprocess_frames(frame, 64, resize)[0].float().mean(0)
    back = postprocess_logits(square - 128, height, width, resize) > 0
    truth = torch.from_numpy(frame[0, :, :, 0] > 0)
    assert back.shape == truth.shape
    assert (back & truth).sum() / (back | truth).sum() > 0.9


def test_preprocess_of_one_pixel():
    square = preprocess_frames(np.full((1, 1, 1, 3), 7, dtype=np.uint8), 16, "squash")
    assert (square == 7).all()
    assert postprocess_logits(torch.ones(4, 4), 1, 1, "squash").shape == (1, 1)
