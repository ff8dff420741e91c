from __future__ import annotations

import pytest
import torch
from torch import Tensor

from save_avs.errors import UsageError
from save_avs.models.audio.compact import CompactBackbone
from save_avs.models.audio.pretrained_backbone import AudioBackbone
from save_avs.models.audio.registry import BACKBONES, backbone_class
from save_avs.weights.registry import pretrained_weights


def log_mel(n: int, seed: int = 0) -> Tensor:
    return torch.rand(n, 1, 96, 64, generator=torch.Generator().manual_seed(seed)) * 7.6 - 4.6


@pytest.fixture
def compact() -> CompactBackbone:
    torch.manual_seed(0)
    return CompactBackbone()


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_backbone_interface(name: str) -> None:
    with torch.device("meta"):
        backbone = backbone_class(name)()
        out = backbone(torch.zeros(3, 1, *backbone.frontend.shape))
    assert isinstance(backbone, AudioBackbone)
    assert out.shape == (3, backbone.dim)
    assert all(published_weights in pretrained_weights() for published_weights in backbone.published_weights)


def test_published_backbones_are_in_the_registry_of_weights() -> None:
    audio = {name for kind in BACKBONES.values() for name in kind.published_weights}
    assert audio == {name for name in pretrained_weights() if not name.startswith("sam-")}


def test_unknown_name_lists_the_backbones() -> None:
    with pytest.raises(UsageError, match=r"'vgg'.*cnn14, compact.*vggish, yamnet"):
        backbone_class("vgg")


def test_compact_has_few_parameters(compact: CompactBackbone) -> None:
    assert sum(p.numel() for p in compact.parameters()) < 600_000


def test_compact_trains_on_one_patch(compact: CompactBackbone) -> None:
    compact(log_mel(1)).square().sum().backward()
    for name, parameter in compact.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    out = compact(log_mel(1))
    (out * torch.arange(128.0)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in compact.parameters())


@torch.no_grad()
def test_compact_in_eval_mode_is_independent_of_the_batch(compact: CompactBackbone) -> None:
    compact(log_mel(8))  # moves the running statistics away from their start
    compact.eval()
    together = compact(log_mel(4))
    alone = torch.cat([compact(x[None]) for x in log_mel(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert (together[0] - together[1]).abs().max() > 1e-2


@torch.no_grad()
def test_compact_distinguishes_neighboring_bands(compact: CompactBackbone) -> None:
    compact.eval()
    x = torch.full((2, 1, 96, 64), -4.6)
    x[0, 0, :, 20] = 2.0
    x[1, 0, :, 21] = 2.0
    low, high = compact(x)
    assert (low - high).abs().max() > 1e-2


def test_compact_has_its_statistics_in_the_state_dict(compact: CompactBackbone) -> None:
    state = compact.state_dict()
    assert {"mean", "std"} <= state.keys()
    assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in state.values())
