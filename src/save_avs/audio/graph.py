"""VGGish's log-mel as a part of a network, for graphs that take sound itself."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.audio.log_mel import FFT, HOP, LOG_OFFSET, WINDOW, hann, mel_matrix


class LogMel(nn.Module):
    """The patch of each sound: f32 [B,15600] at 16 kHz, -1..1 -> [B,1,96,64], as ``log_mel`` gives it.

    The windowed Fourier transform is a convolution with cosines and sines: every runtime has it. float32
    strays from ``log_mel``'s float64 where bands are almost silent, by less than 1e-2.
    """

    waves: Tensor
    mel: Tensor

    def __init__(self) -> None:
        super().__init__()
        bins = FFT // 2 + 1
        turns = 2 * np.pi * np.arange(bins)[:, None] * np.arange(WINDOW) / FFT  # [257,400]
        waves = hann() * np.concatenate([np.cos(turns), np.sin(turns)])  # [514,400]
        self.register_buffer("waves", torch.from_numpy(waves).float()[:, None])
        self.register_buffer("mel", torch.from_numpy(mel_matrix().T).float())  # [64,257]

    def forward(self, sounds: Tensor) -> Tensor:
        """Sounds [B,15600] to patches [B,1,96,64]."""
        real, imaginary = F.conv1d(sounds[:, None], self.waves, stride=HOP).chunk(2, dim=1)  # [B,257,96]
        magnitude = (real * real + imaginary * imaginary).sqrt()
        return torch.log(self.mel @ magnitude + LOG_OFFSET).transpose(1, 2)[:, None]
