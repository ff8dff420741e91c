"""A front-end as a part of a network, for graphs that take sound itself."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.audio.frontend import VGGISH, AmplitudeScale, DecibelScale, Frontend, LogScale, hann_window
from save_avs.audio.mel import mel_filters


class LogMelSpectrogram(nn.Module):
    """The patch of each sound: f32 [B,span] in -1..1 -> [B,1,frames,bands], as ``log_mel_at`` gives it.

    The windowed Fourier transform is a convolution with cosines and sines: every runtime has it. float32
    strays from ``log_mel_at``'s float64 where bands are almost silent, by less than 1e-2.

    Args:
        frontend: an audio backbone's.
    """

    waves: Tensor
    mel: Tensor

    def __init__(self, frontend: Frontend = VGGISH) -> None:
        super().__init__()
        self.frontend = frontend
        window, fft = frontend.window, frontend.fft
        turns = 2 * np.pi * np.arange(fft // 2 + 1)[:, None] * np.arange(window) / fft  # [bins,window]
        waves = hann_window(window) * np.concatenate([np.cos(turns), np.sin(turns)])  # [2 bins,window]
        self.register_buffer("waves", torch.from_numpy(waves).float()[:, None])
        filters = mel_filters(frontend.mel, frontend.sample_rate, fft)  # [bins,bands]
        self.register_buffer("mel", torch.from_numpy(filters.T.copy()).float())

    def forward(self, sounds: Tensor) -> Tensor:
        """Sounds [B,span] to patches [B,1,frames,bands]."""
        frontend = self.frontend
        before = frontend.filling // 2
        filled = F.pad(sounds[:, None], (before, frontend.filling - before), mode=frontend.edges)
        real, imaginary = F.conv1d(filled, self.waves, stride=frontend.hop).chunk(2, dim=1)  # [B,bins,frames]
        power = real * real + imaginary * imaginary
        bands = self.mel @ (power.sqrt() if frontend.power == 1 else power)
        return _level(frontend.level, bands).transpose(1, 2)[:, None]


def _level(level: AmplitudeScale, bands: Tensor) -> Tensor:
    """How loud bands are, [B,bands,frames]: `level` for tensors."""
    match level:
        case LogScale(offset):
            return torch.log(bands + offset)
        case DecibelScale(floor, step, span):
            decibels = step * torch.log10(bands.clamp(min=floor))
            if span is None:
                return decibels
            return (decibels - decibels.amax((1, 2), keepdim=True)).clamp(min=-span)
    raise TypeError(f"no graph is known of {level}")
