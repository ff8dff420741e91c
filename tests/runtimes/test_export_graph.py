"""The whole model as one graph: the same squares and probabilities as the predictor's parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from save_avs.models.preprocess import preprocess_frames
from save_avs.runtimes.end_to_end_graph import EndToEndModel, downscale_matrix, upscale_matrix
from save_avs.runtimes.export_check import reference_probabilities
from save_avs.types import VideoChunk
from tests.support.tiny_model import shake, tiny_model

SIZES = [(64, 64), (100, 37), (30, 200), (481, 640)]


def axis(count: int) -> torch.Tensor:
    return torch.arange(count, dtype=torch.float32)


@pytest.mark.parametrize("count", [16, 63, 64, 65, 200, 1080])
def test_resize_matrices_match_torch(count):
    lines = torch.rand(1, 1, count, 5)
    small = F.interpolate(lines, size=(64, 5), mode="bilinear", antialias=True)[0, 0]
    found = downscale_matrix(axis(count), torch.tensor(64.0), 64) @ lines[0, 0]
    torch.testing.assert_close(found, small, atol=1e-4, rtol=0)
    cells = torch.rand(1, 1, 16)
    large = F.interpolate(cells, size=count, mode="linear", align_corners=False)[0, 0]
    found = upscale_matrix(axis(count), torch.tensor(float(count)), 16) @ cells[0, 0]
    torch.testing.assert_close(found, large, atol=1e-4, rtol=0)


def clip_of(height: int, width: int) -> VideoChunk:
    """Four frames, the sound of the last two of them digital silence."""
    draw = np.random.default_rng(height)
    coarse = draw.integers(0, 256, (4, 3, 6, 9), dtype=np.uint8)
    frames = F.interpolate(torch.from_numpy(coarse), size=(height, width), mode="bicubic")
    waveform = draw.normal(0, 0.2, 8 * 16000).astype(np.float32)
    waveform[3 * 16000 :] = 0
    return VideoChunk(
        frames=frames.permute(0, 2, 3, 1).contiguous().numpy(),
        times=np.array([0.0, 1.5, 5.0, 6.0]),
        waveform=waveform,
        waveform_start=0.0,
        sample_rate=16000,
    )


@pytest.mark.parametrize("resize", ["squash", "pad"])
@pytest.mark.parametrize("size", SIZES)
def test_graph_matches_predictor(size, resize):
    model = tiny_model(resize=resize)
    shake(model)
    whole, clip = EndToEndModel(model), clip_of(*size)
    rows, columns = axis(size[0]), axis(size[1])
    squares = whole._resize(torch.from_numpy(clip.frames), rows, columns, torch.tensor(float(max(size))))
    difference = (squares - preprocess_frames(clip.frames, 64, resize)).abs()
    assert difference.max() <= 1 and difference.mean() < 0.01
    starts = np.floor(clip.times * 16000 + 0.5).astype(int)
    padded = np.pad(clip.waveform, 7800)
    sounds = torch.from_numpy(np.stack([padded[start : start + 15600] for start in starts]))
    with torch.inference_mode():
        found = whole(torch.from_numpy(clip.frames), sounds).numpy()
    wanted = reference_probabilities(model, clip)
    assert found.shape == (4, *size) and not found[2:].any() and found[:2].any()
    np.testing.assert_allclose(found, wanted, atol=0.01)
