"""Each backbone beside its public port: front-end and network, on random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers.audio_utils import spectrogram

from save_avs.audio import log_mel_at
from save_avs.audio.frontend import OPENL3_MEL128, OPENL3_MEL256, PANNS_16K, YAMNET, Frontend
from save_avs.audio.mel import mel_filters
from save_avs.errors import SaveAvsError
from save_avs.models.audio.backbone import AudioBackbone, load_backbone
from save_avs.models.audio.registry import BACKBONES
from tests.support.audio_reference import draw, port, reference_patches

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter")


def sound(sample_rate: int, seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """A chirp through all bands, two tones and noise, f32."""
    t = np.arange(round(sample_rate * seconds)) / sample_rate
    chirp = np.sin(2 * np.pi * (40 * t + 0.24 * sample_rate * t**2 / seconds))
    tones = np.sin(2 * np.pi * 440 * t) * (t > 0.3) + np.sin(2 * np.pi * 3000 * t) * (t < 0.1)
    noise = np.random.default_rng(seed).standard_normal(len(t))
    return (0.3 * chirp + 0.2 * tones + 0.02 * noise).astype(np.float32)


def cnn14() -> nn.Module:
    """The 16 kHz network of the paper: panns-inference's class with the published parameters."""
    numbers = {"window_size": 512, "hop_size": 160, "mel_bins": 64, "fmin": 50, "fmax": 8000}
    return port("panns_inference", "models").Cnn14(sample_rate=16000, classes_num=527, **numbers)


def openl3(bands: int, width: int) -> nn.Module:
    return port("torchopenl3", "models").PytorchOpenl3("env", f"mel{bands}", width)


class Port(NamedTuple):
    """How a port is built, and what it makes of one second of its rate's sound or of our patches of it."""

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
}


class Pair(NamedTuple):
    kind: type[AudioBackbone]
    theirs: nn.Module
    embed: Callable[[Any, Tensor, Tensor], Tensor]
    ours: AudioBackbone
    file: Path


@pytest.fixture(scope="module", params=sorted(PORTS))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A port, and our backbone loaded from the file that the port's state dict makes."""
    kind = BACKBONES[request.param]
    theirs = draw(PORTS[request.param].build())
    file = tmp_path_factory.mktemp(request.param) / "weights.pth"
    torch.save(theirs.state_dict(), file)
    yield Pair(kind, theirs, PORTS[request.param].embed, load_backbone(kind, file), file)
    file.unlink()


def waves(sample_rate: int) -> Tensor:
    quiet = 0.05 * sound(sample_rate, seed=1)[::-1]
    return torch.from_numpy(np.stack([sound(sample_rate), quiet]))


def patches_of(kind: type[AudioBackbone], waveform: Tensor) -> Tensor:
    """Our patches of one second each, [N,1,frames,bands]."""
    sample_rate = kind.frontend.sample_rate
    return torch.from_numpy(
        np.concatenate([log_mel_at(w.numpy(), sample_rate, [0.5], frontend=kind.frontend) for w in waveform])
    ).unsqueeze(1)


@torch.no_grad()
def test_sound_in_and_vector_out_equal_the_ports(pair: Pair) -> None:
    waveform = waves(pair.kind.frontend.sample_rate)
    log_mel = patches_of(pair.kind, waveform)
    expected, ours = pair.embed(pair.theirs, waveform, log_mel), pair.ours(log_mel)
    assert ours.shape == expected.shape == (2, pair.kind.dim)
    assert (expected[0] - expected[1]).abs().max() > 0.05 * expected.abs().max(), "deaf: it tests nothing"
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=2e-4 * float(expected.abs().max()))


@torch.no_grad()
@pytest.mark.parametrize("pair", ["cnn14", "openl3-mel128-512", "yamnet"], indirect=True)
def test_every_tensor_counts(pair: Pair) -> None:
    """What does not show in the output would not be tested by it."""
    log_mel = patches_of(pair.kind, waves(pair.kind.frontend.sample_rate))[:1]
    before = pair.ours(log_mel)
    for name, tensor in pair.ours.state_dict().items():
        if tensor.dtype != torch.float32:
            continue
        kept = tensor.clone()
        tensor.mul_(1.5).add_(0.1)
        change = (pair.ours(log_mel) - before).abs().max() / before.abs().max()
        tensor.copy_(kept)
        assert change > 1e-4, f"{name} does not show in the output"


def test_loaded_backbone_is_frozen(pair: Pair) -> None:
    assert not pair.ours.training
    assert not any(p.requires_grad for p in pair.ours.parameters())


def test_a_file_that_lacks_a_layer_is_refused(pair: Pair, tmp_path: Path) -> None:
    state = torch.load(pair.file, weights_only=True)
    lacking = next(key for key in reversed(state) if not key.startswith(pair.kind.ignored_prefixes))
    torch.save({k: v for k, v in state.items() if k != lacking}, tmp_path / "less.pth")
    with pytest.raises(SaveAvsError, match=f"1 missing: {lacking}"):
        load_backbone(pair.kind, tmp_path / "less.pth")
    torch.save({**state, "extra": torch.zeros(1)}, tmp_path / "more.pth")
    with pytest.raises(SaveAvsError, match="1 unexpected: extra"):
        load_backbone(pair.kind, tmp_path / "more.pth")


@pytest.mark.parametrize("name", ["cnn14", "openl3-mel128-512"])
def test_a_file_with_other_mel_filters_is_refused(name: str, tmp_path: Path) -> None:
    kind, state = BACKBONES[name], PORTS[name].build().state_dict()
    assert kind.mel_filters_key is not None
    filters = state[kind.mel_filters_key]
    axis = filters.shape.index(kind.frontend.mel.n_mels)
    # librosa of today takes openl3's norm=1 to mean that the weights of a band add up to 1
    state[kind.mel_filters_key] = filters / filters.sum(1 - axis, keepdim=True)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(
        SaveAvsError, match=rf"other\.pth was trained with other mel filters than {kind.title}"
    ):
        load_backbone(kind, tmp_path / "other.pth")


def test_panns_front_end_equals_torchlibrosa() -> None:
    net, waveform = cnn14(), sound(16_000)
    theirs = net.logmel_extractor(net.spectrogram_extractor(torch.from_numpy(waveform)[None]))[0, 0].numpy()
    ours = log_mel_at(waveform, 16_000, [0.5], frontend=PANNS_16K)[0]
    assert ours.shape == theirs.shape == PANNS_16K.shape
    assert theirs.max() - theirs.min() > 40
    assert np.abs(ours - theirs).max() < 0.02  # float32 there; in quiet bands decibels magnify it
    exact = spectrogram(
        waveform.astype(np.float64),
        np.hanning(513)[:-1],
        512,
        160,
        power=2.0,
        mel_filters=mel_filters(PANNS_16K.mel, 16_000, 512),
        log_mel="dB",
        dtype=np.float64,  # pyright: ignore[reportArgumentType]
    )
    assert np.abs(ours - exact.T).max() < 1e-4


@pytest.mark.parametrize(("frontend", "bands"), [(OPENL3_MEL128, 128), (OPENL3_MEL256, 256)])
def test_openl3_front_end_equals_torchopenl3(frontend: Frontend, bands: int) -> None:
    waveform = sound(48_000)
    theirs = openl3(bands, 512).speclayer(torch.from_numpy(waveform)[None, None])[0, :, :, 0].numpy().T
    ours = log_mel_at(waveform, 48_000, [0.5], frontend=frontend)[0]
    assert ours.shape == theirs.shape == frontend.shape
    silent = (mel_filters(frontend.mel, 48_000, 2048) == 0).all(0)  # low bands that no bin falls into
    assert ours.max() == 0 and (ours[:, silent] == -80).all() and ours[:, ~silent].min() > -80
    assert silent.sum() == (0 if bands == 128 else 2)
    assert np.abs(ours - theirs).max() < 0.02


def test_openl3_silence_is_flat_and_its_quietest_is_80_below() -> None:
    silence, click = np.zeros(48_000, np.float32), np.eye(1, 48_000, 24_000, dtype=np.float32)[0]
    flat, struck = (log_mel_at(w, 48_000, [0.5], frontend=OPENL3_MEL256)[0] for w in (silence, click))
    assert np.all(flat == 0)
    theirs = openl3(256, 512).speclayer(torch.from_numpy(click)[None, None])[0, :, :, 0].numpy().T
    assert struck.min() == theirs.min() == -80
    assert np.abs(struck - theirs).max() < 0.02


def test_yamnet_front_end_equals_googles_code() -> None:
    waveform = sound(16_000, 3.0)
    expected = reference_patches(waveform, offset=0.001)
    times = 0.96 * np.arange(3) + 0.4875
    assert np.abs(log_mel_at(waveform, 16_000, times, frontend=YAMNET) - expected).max() < 3e-6


def test_yamnet_port_has_other_triangles() -> None:
    """Its frames are ours, around other times; its triangles are straight over Hz, Google's over mel."""
    waveform = sound(16_000, 2.0)
    frames, _ = (
        port("torch_vggish_yamnet", "input_proc")
        .WaveformToInput()
        .wavform_to_log_mel(torch.from_numpy(waveform)[None], 16_000)
    )
    theirs = frames[0, 0, 2:].numpy()  # the first two frames reach before the sound
    # their frame k is centered on 160 k, ours on 160 k + 200 from the patch's first sample
    middle = (2 * 160 - 200 + YAMNET.num_samples // 2) / 16_000
    as_theirs = replace(YAMNET, mel=replace(YAMNET.mel, triangle_axis="hertz"))
    ours = log_mel_at(waveform, 16_000, [middle], frontend=as_theirs)[0, :94]
    assert np.abs(ours - theirs).max() < 1e-3
    googles = log_mel_at(waveform, 16_000, [middle], frontend=YAMNET)[0, :94]
    assert 0.005 < np.abs(googles - theirs).max() < 0.05
