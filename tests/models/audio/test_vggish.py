from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from save_avs.audio import load_vggish
from save_avs.errors import SaveAvsError, UsageError
from save_avs.models.audio.vggish import VGGish
from tests.support.audio_reference import torchvggish


def log_mel(n: int) -> Tensor:
    return torch.rand(n, 1, 96, 64, generator=torch.Generator().manual_seed(1)) * 7.6 - 4.6


@pytest.fixture(scope="module")
def reference() -> nn.Module:
    """torchvggish's network, with random weights that make the output depend on every layer."""
    with torch.device("meta"):
        model = torchvggish("torchvggish")._vgg(postprocess=False)
    model.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            fan_in = parameter[0].numel() if name.endswith("weight") else 100
            parameter.normal_(0.0, (2 / fan_in) ** 0.5, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def ours(reference: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VGGish]:
    path = tmp_path_factory.mktemp("vggish") / "vggish.pth"
    torch.save(reference.state_dict(), path)
    yield load_vggish(path)
    path.unlink()  # 288 MB


@torch.no_grad()
def test_embeddings_equal_torchvggish(reference: nn.Module, ours: VGGish) -> None:
    x = log_mel(4)
    expected = reference(x)
    assert (expected.std(0) / expected.mean(0).clamp(min=1e-3)).max() > 0.02, (
        "the reference does not depend on its input"
    )
    assert 0.2 < (expected == 0).float().mean() < 0.8  # the last ReLU has an effect
    torch.testing.assert_close(ours(x), expected, atol=1e-5, rtol=1e-5)


def test_every_layer_affects_the_embedding(ours: VGGish) -> None:
    parameters = {name: p.detach().requires_grad_() for name, p in ours.named_parameters()}
    embedding = torch.func.functional_call(ours, parameters, log_mel(1))
    embedding.norm().backward()
    for name, parameter in parameters.items():
        assert parameter.grad is not None
        change = parameter.grad.norm() * parameter.norm() / embedding.norm()
        assert change > 1e-3, f"{name} does not affect the embedding"


def test_loaded_vggish_is_frozen(ours: VGGish) -> None:
    assert not ours.training
    assert not any(p.requires_grad for p in ours.parameters())
    assert ours.dim == 128
    assert sum(p.numel() for p in ours.parameters()) == 72_141_184


def test_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"features.0.weight": torch.zeros(64, 1, 3, 3), "pca": torch.zeros(1)}, path)
    with pytest.raises(SaveAvsError, match=r"other\.pth.*embeddings\.4\.bias.*pca"):
        load_vggish(path)
    with pytest.raises(UsageError):
        load_vggish(tmp_path / "absent.pth")
