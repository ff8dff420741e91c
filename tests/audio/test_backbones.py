from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from save_avs.audio import BACKBONES, AudioBackbone, CompactBackbone, build_backbone, log_mel_at
from save_avs.checkpoints.known import KNOWN
from save_avs.errors import UsageError


def patches(n: int, seed: int = 0) -> Tensor:
    return torch.rand(n, 1, 96, 64, generator=torch.Generator().manual_seed(seed)) * 7.6 - 4.6


@pytest.fixture
def compact() -> CompactBackbone:
    torch.manual_seed(0)
    return CompactBackbone()


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_backbone_keeps_the_interface(name: str) -> None:
    with torch.device("meta"):
        backbone = build_backbone(name)
        out = backbone(torch.zeros(3, 1, *backbone.front_end.shape))
    assert isinstance(backbone, AudioBackbone)
    assert out.shape == (3, backbone.dim)
    assert all(published in KNOWN for published in backbone.published)


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_front_end_fills_its_patch(name: str) -> None:
    front_end = BACKBONES[name].front_end
    wave = 0.1 * np.random.default_rng(0).standard_normal(2 * front_end.rate)
    patches = log_mel_at(wave.astype(np.float32), front_end.rate, [1.0, 1.0], front_end=front_end)
    assert patches.shape == (2, *front_end.shape) and np.isfinite(patches).all()
    assert patches.std() > 0.5 and np.array_equal(*patches)
    assert front_end.seconds <= 1.0  # what `read_clips` reads around a frame


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_a_patch_is_centred_on_its_time(name: str) -> None:
    front_end = BACKBONES[name].front_end
    click = np.zeros(2 * front_end.rate + 1, np.float32)
    click[front_end.rate] = 1.0
    (patch,) = log_mel_at(click, front_end.rate, [1.0], front_end=front_end)
    heard = np.flatnonzero(patch.max(axis=1) > patch.max() - 1)
    assert abs(heard.mean() - (front_end.frames - 1) / 2) <= 0.5


def test_every_published_backbone_can_be_fetched() -> None:
    audio = {name for kind in BACKBONES.values() for name in kind.published}
    assert audio == {name for name in KNOWN if not name.startswith("sam-")}


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"'vgg'.*cnn14, compact.*vggish, yamnet"):
        build_backbone("vgg")


def test_compact_is_small(compact: CompactBackbone) -> None:
    assert sum(p.numel() for p in compact.parameters()) < 600_000


def test_compact_trains_on_a_single_patch(compact: CompactBackbone) -> None:
    compact(patches(1)).square().sum().backward()
    for name, parameter in compact.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    out = compact(patches(1))
    (out * torch.arange(128.0)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in compact.parameters())


@torch.no_grad()
def test_compact_in_eval_does_not_see_its_neighbours(compact: CompactBackbone) -> None:
    compact(patches(8))  # moves the running statistics away from their start
    compact.eval()
    together = compact(patches(4))
    alone = torch.cat([compact(x[None]) for x in patches(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert (together[0] - together[1]).abs().max() > 1e-2


@torch.no_grad()
def test_compact_tells_neighbouring_bands_apart(compact: CompactBackbone) -> None:
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
