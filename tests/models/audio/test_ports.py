"""Every audio network against its public port: the same embeddings from random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from save_avs.audio import log_mel_at
from save_avs.errors import SaveAvsError
from save_avs.models.audio.pretrained_backbone import AudioBackbone, backbone_state, load_backbone
from save_avs.models.audio.registry import BACKBONES
from save_avs.weights.state_dict import read_state_dict
from tests.support.audio_reference import chirp, cnn14, draw, openl3, port

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:At least one mel filter")]


class Port(NamedTuple):
    """How to build a port, and to compute its embeddings of one second of waveform or of our patches."""

    build: Callable[[], nn.Module]
    embed: Callable[[Any, Tensor, Tensor], Tensor]


PORTS = {
    "cnn14": Port(cnn14, lambda net, waveform, _: net(waveform)["embedding"]),
    "openl3-mel256-512": Port(lambda: openl3(256, 512), lambda net, waveform, _: net(waveform[:, None])),
    "openl3-mel256-6144": Port(lambda: openl3(256, 6144), lambda net, waveform, _: net(waveform[:, None])),
    "openl3-mel128-512": Port(lambda: openl3(128, 512), lambda net, waveform, _: net(waveform[:, None])),
    "openl3-mel128-6144": Port(lambda: openl3(128, 6144), lambda net, waveform, _: net(waveform[:, None])),
    "yamnet": Port(
        lambda: port("torch_vggish_yamnet", "yamnet.model").YAMNet(),
        lambda net, _, log_mel: net(log_mel)[0].flatten(1),
    ),
    "aisfx": Port(
        lambda: aisfx_network({"Own": (0, 5)}),
        lambda net, _, log_mel: net.get_embedding(log_mel[:, 0] / 9.457798957824707),
    ),
}


def aisfx_network(classifiers: dict[str, tuple[int, int]]) -> nn.Module:
    module = port("aisfx", "models.cnn2d")
    return module.CrossNet(module.EmbeddingNet("max", 3, 1, 64), classifiers, "cpu")


class Pair(NamedTuple):
    kind: type[AudioBackbone]
    theirs: nn.Module
    embed: Callable[[Any, Tensor, Tensor], Tensor]
    ours: AudioBackbone
    file: Path


@pytest.fixture(scope="module", params=sorted(PORTS))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A port, and our network loaded from the port's state dict."""
    kind = BACKBONES[request.param]
    theirs = draw(PORTS[request.param].build())
    file = tmp_path_factory.mktemp(request.param) / "weights.pth"
    torch.save(theirs.state_dict(), file)
    yield Pair(kind, theirs, PORTS[request.param].embed, load_backbone(kind, file), file)
    file.unlink()


def make_waveforms(sample_rate: int) -> Tensor:
    quiet = 0.05 * chirp(sample_rate, seed=1)[::-1]
    return torch.from_numpy(np.stack([chirp(sample_rate), quiet]))


def patches_of(kind: type[AudioBackbone], waveforms: Tensor) -> Tensor:
    """Patches of one second each, [N,1,frames,bands]."""
    sample_rate = kind.frontend.sample_rate
    return torch.from_numpy(
        np.concatenate([log_mel_at(w.numpy(), sample_rate, [0.5], frontend=kind.frontend) for w in waveforms])
    ).unsqueeze(1)


@torch.no_grad()
def test_embeddings_equal_those_of_the_port(pair: Pair) -> None:
    waveform = make_waveforms(pair.kind.frontend.sample_rate)
    log_mel = patches_of(pair.kind, waveform)
    expected, ours = pair.embed(pair.theirs, waveform, log_mel), pair.ours(log_mel)
    assert ours.shape == expected.shape == (2, pair.kind.dim)
    assert (expected[0] - expected[1]).abs().max() > 0.05 * expected.abs().max(), (
        "the port does not depend on its input"
    )
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=2e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("pair", ["cnn14", "openl3-mel128-512", "yamnet"], indirect=True)
def test_every_tensor_affects_the_embedding(pair: Pair) -> None:
    """A tensor without an effect would not be tested by the comparison of embeddings."""
    log_mel = patches_of(pair.kind, make_waveforms(pair.kind.frontend.sample_rate))[:1]
    parameters = {name: p.detach().requires_grad_() for name, p in pair.ours.named_parameters()}
    embedding = torch.func.functional_call(pair.ours, parameters, log_mel)
    embedding.norm().backward()
    for name, parameter in parameters.items():
        assert parameter.grad is not None
        change = parameter.grad.norm() * parameter.norm() / embedding.norm()
        assert change > 1e-4, f"{name} does not affect the embedding"
    for name, buffer in pair.ours.named_buffers():  # batch norm has no gradient of its statistics
        if buffer.dtype == torch.float32:
            original = buffer.clone()
            buffer.mul_(1.5).add_(0.1)
            with torch.no_grad():
                change = (pair.ours(log_mel) - embedding).abs().max() / embedding.abs().max()
            buffer.copy_(original)
            assert change > 1e-4, f"{name} does not affect the embedding"


def test_loaded_backbone_is_frozen(pair: Pair) -> None:
    assert not pair.ours.training
    assert not any(p.requires_grad for p in pair.ours.parameters())


@pytest.mark.parametrize("pair", ["openl3-mel128-512", "yamnet"], indirect=True)
def test_checkpoint_with_other_layers_is_refused(pair: Pair, tmp_path: Path) -> None:
    state = torch.load(pair.file, weights_only=True)
    missing = next(key for key in reversed(state) if not key.startswith(pair.kind.ignored_prefixes))
    torch.save({k: v for k, v in state.items() if k != missing}, tmp_path / "less.pth")
    with pytest.raises(SaveAvsError, match=f"1 missing: {missing}"):
        load_backbone(pair.kind, tmp_path / "less.pth")
    torch.save({**state, "extra": torch.zeros(1)}, tmp_path / "more.pth")
    with pytest.raises(SaveAvsError, match="1 unexpected: extra"):
        load_backbone(pair.kind, tmp_path / "more.pth")


@pytest.mark.parametrize("pair", ["cnn14", "openl3-mel128-512"], indirect=True)
def test_checkpoint_with_other_mel_filters_is_refused(pair: Pair) -> None:
    kind = pair.kind
    assert kind.mel_filters_key is not None
    filters = pair.theirs.state_dict()[kind.mel_filters_key]
    axis = filters.shape.index(kind.frontend.mel.n_mels)
    # today's librosa takes openl3's norm=1 to mean that the weights of a band add up to 1
    state = {kind.mel_filters_key: filters / filters.sum(1 - axis, keepdim=True)}
    with pytest.raises(
        SaveAvsError, match=rf"other\.pth was trained with other mel filters than .*{kind.title}"
    ):
        backbone_state(kind, state, source="other.pth")


@torch.no_grad()
def test_published_aisfx_equals_its_package() -> None:
    checkpoint = Path(str(port("aisfx", "models.cnn2d").__file__)).with_name("checkpoint.pth")
    ours = load_backbone(BACKBONES["aisfx"], checkpoint)
    state = read_state_dict(checkpoint)
    theirs = aisfx_network({str(i): (i, len(state[f"fc.{i}.4.bias"])) for i in range(9)}).eval()
    theirs.load_state_dict(state)
    log_mel = patches_of(BACKBONES["aisfx"], make_waveforms(44_100))
    expected = PORTS["aisfx"].embed(theirs, log_mel, log_mel)
    assert expected.max() > 1
    torch.testing.assert_close(ours(log_mel), expected, rtol=1e-5, atol=1e-4)
