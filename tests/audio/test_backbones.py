from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from save_avs.audio import log_mel_at
from save_avs.errors import UsageError
from save_avs.models.audio.backbone import AudioBackbone
from save_avs.models.audio.compact import CompactBackbone
from save_avs.models.audio.registry import BACKBONES, build_backbone
from save_avs.weights.registry import PRETRAINED_WEIGHTS


def log_mel(n: int, seed: int = 0) -> Tensor:
    return torch.rand(n, 1, 96, 64, generator=torch.Generator().manual_seed(seed)) * 7.6 - 4.6


@pytest.fixture
def compact() -> CompactBackbone:
    torch.manual_seed(0)
    return CompactBackbone()


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_backbone_keeps_the_interface(name: str) -> None:
    with torch.device("meta"):
        backbone = build_backbone(name)
        out = backbone(torch.zeros(3, 1, *backbone.frontend.shape))
    assert isinstance(backbone, AudioBackbone)
    assert out.shape == (3, backbone.dim)
    assert all(published_weights in PRETRAINED_WEIGHTS for published_weights in backbone.published_weights)


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_front_end_fills_its_patch(name: str) -> None:
    frontend = BACKBONES[name].frontend
    waveform = 0.1 * np.random.default_rng(0).standard_normal(2 * frontend.sample_rate)
    log_mel = log_mel_at(waveform.astype(np.float32), frontend.sample_rate, [1.0, 1.0], frontend=frontend)
    assert log_mel.shape == (2, *frontend.shape) and np.isfinite(log_mel).all()
    assert log_mel.std() > 0.5 and np.array_equal(*log_mel)
    assert frontend.duration <= 1.0  # what `read_video_chunks` reads around a frame


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_a_patch_is_centered_on_its_time(name: str) -> None:
    frontend = BACKBONES[name].frontend
    click = np.zeros(2 * frontend.sample_rate + 1, np.float32)
    click[frontend.sample_rate] = 1.0
    (patch,) = log_mel_at(click, frontend.sample_rate, [1.0], frontend=frontend)
    heard = np.flatnonzero(patch.max(axis=1) > patch.max() - 1)
    assert abs(heard.mean() - (frontend.num_frames - 1) / 2) <= 0.5


def test_every_published_backbone_can_be_fetched() -> None:
    audio = {name for kind in BACKBONES.values() for name in kind.published_weights}
    assert audio == {name for name in PRETRAINED_WEIGHTS if not name.startswith("sam-")}


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"'vgg'.*cnn14, compact.*vggish, yamnet"):
        build_backbone("vgg")


def test_compact_is_small(compact: CompactBackbone) -> None:
    assert sum(p.numel() for p in compact.parameters()) < 600_000


def test_compact_trains_on_a_single_patch(compact: CompactBackbone) -> None:
    compact(log_mel(1)).square().sum().backward()
    for name, parameter in compact.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    out = compact(log_mel(1))
    (out * torch.arange(128.0)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in compact.parameters())


@torch.no_grad()
def test_compact_in_eval_does_not_see_its_neighbors(compact: CompactBackbone) -> None:
    compact(log_mel(8))  # moves the running statistics away from their start
    compact.eval()
    together = compact(log_mel(4))
    alone = torch.cat([compact(x[None]) for x in log_mel(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert (together[0] - together[1]).abs().max() > 1e-2


@torch.no_grad()
def test_compact_tells_neighboring_bands_apart(compact: CompactBackbone) -> None:
    compact.eval()
    x = torch.full((2, 1, 96, 64), -4.6)
    x[0, 0, :, 20] = 2.0
    x[1, 0, :, 21] = 2.0
    low, high = compact(x)
    assert (low - high).abs().max() > 1e-2


def test_compact_keeps_its_statistics_in_the_state(compact: CompactBackbone) -> None:
    state = compact.state_dict()
    assert {"mean", "std"} <= state.keys()
    assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in state.values())
