"""Public ports of the audio networks, imported module by module: the packages download files or need others.

Stand-ins based on transformers, scipy and torch replace librosa and torchaudio.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import get_window
from torch import nn
from transformers.audio_utils import mel_filter_bank


def mel(*, sr: int, n_fft: int, n_mels: int, fmin: float, fmax: float, htk: bool = False, norm: Any = 1):
    """librosa's, when norm=1 was Slaney's equal area (before 0.7), as in the days of these networks."""
    assert norm == 1
    return mel_filter_bank(
        num_frequency_bins=n_fft // 2 + 1,
        num_mel_filters=n_mels,
        min_frequency=fmin,
        max_frequency=fmax,
        sampling_rate=sr,
        norm="slaney",
        mel_scale="htk" if htk else "slaney",
    ).T.astype(np.float32)


class MelSpectrogram(nn.Module):
    """torchaudio's: centered windows, mirrored ends, powers; triangles of height 1, straight over Hz."""

    def __init__(
        self,
        sample_rate: int,
        *,
        n_fft: int,
        win_length: int,
        hop_length: int,
        f_min: float,
        f_max: float,
        n_mels: int,
    ) -> None:
        super().__init__()
        self.stft = {
            "n_fft": n_fft,
            "win_length": win_length,
            "hop_length": hop_length,
            "window": torch.hann_window(win_length),
            "return_complex": True,
        }
        filters = mel_filter_bank(n_fft // 2 + 1, n_mels, f_min, f_max, sample_rate)
        self.filters = torch.from_numpy(filters).float()

    def spectrogram(self, waveform: torch.Tensor) -> torch.Tensor:
        return torch.stft(waveform, **self.stft).abs() ** 2

    def mel_scale(self, spectrogram: torch.Tensor) -> torch.Tensor:
        return self.filters.T @ spectrogram


class Resample(nn.Module):
    """torchaudio's, between equal rates."""

    def __init__(self, sample_rate: int, wanted: int) -> None:
        super().__init__()
        assert sample_rate == wanted

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return waveform


def _module(name: str, **content: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(content)
    return module


def _pad_center(data: np.ndarray, *, size: int) -> np.ndarray:
    assert len(data) == size
    return data


def _stand_ins() -> dict[str, ModuleType]:
    filters = _module("librosa.filters", mel=mel, get_window=get_window)
    transforms = _module("torchaudio.transforms", MelSpectrogram=MelSpectrogram, Resample=Resample)
    librosa = _module("librosa", filters=filters, util=_module("librosa.util", pad_center=_pad_center))
    torchaudio = _module("torchaudio", transforms=transforms)
    # its core reads sound files and resamples
    core = _module("torchopenl3.core")
    return {m.__name__: m for m in (librosa, filters, torchaudio, transforms, core)}


@cache
def port(package: str, module: str) -> ModuleType:
    """A module of a port's package, whose own ``__init__`` is not run."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed: `make dev` does it")
    home = Path(spec.submodule_search_locations[0])
    before = dict(sys.modules)
    try:
        sys.modules.update(_stand_ins())
        for depth in range(module.count(".") + 1):
            inner = module.split(".")[:depth]
            name = ".".join([package, *inner])
            sys.modules[name] = _module(name, __path__=[str(home.joinpath(*inner))])
        return importlib.import_module(f"{package}.{module}")
    finally:
        for name in sys.modules.keys() - before.keys():
            if name.split(".")[0] in {package, "librosa", "torchaudio", "torchlibrosa"}:
                del sys.modules[name]


def torchvggish(module: str) -> ModuleType:
    return port("torchvggish", module)


def reference_patches(waveform: np.ndarray, offset: float = 0.01) -> np.ndarray:
    """Google's own patches of a 16 kHz sound, in torchvggish's copy, f64 [N,96,64]."""
    features = torchvggish("mel_features")
    spectrogram = features.log_mel_spectrogram(
        waveform, 16000, log_offset=offset, num_mel_bins=64, lower_edge_hertz=125, upper_edge_hertz=7500
    )
    return features.frame(spectrogram, 96, 96)


def chirp(sample_rate: int, seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """A chirp through all bands, two tones and noise, f32."""
    t = np.arange(round(sample_rate * seconds)) / sample_rate
    sweep = np.sin(2 * np.pi * (40 * t + 0.24 * sample_rate * t**2 / seconds))
    tones = np.sin(2 * np.pi * 440 * t) * (t > 0.3) + np.sin(2 * np.pi * 3000 * t) * (t < 0.1)
    noise = np.random.default_rng(seed).standard_normal(len(t))
    return (0.3 * sweep + 0.2 * tones + 0.02 * noise).astype(np.float32)


def cnn14() -> nn.Module:
    """The 16 kHz network of the paper: panns-inference's class with the published parameters."""
    parameters = {"window_size": 512, "hop_size": 160, "mel_bins": 64, "fmin": 50, "fmax": 8000}
    return port("panns_inference", "models").Cnn14(sample_rate=16000, classes_num=527, **parameters)


def openl3(bands: int, width: int) -> nn.Module:
    return port("torchopenl3", "models").PytorchOpenl3("env", f"mel{bands}", width)


def draw(model: nn.Module, seed: int = 0) -> nn.Module:
    """Draw a network's weights and statistics so that its output depends on the input and on every layer."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.normal_(0.0, (2 / module.weight[0].numel()) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0.0, 0.1, generator=generator)
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.8, 1.2, generator=generator)
                module.bias.normal_(0.0, 0.1, generator=generator)
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.normal_(0.0, 0.1, generator=generator)
                module.running_var.uniform_(0.8, 1.2, generator=generator)
    return model.eval()
