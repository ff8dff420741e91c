"""Log-mel front-end as a torch module, for exported graphs that take waveforms."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.audio.frontend import VGGISH, Frontend, mel_filters


class LogMelSpectrogram(nn.Module):
    """Waveforms f32 [B,num_samples] in -1..1 to log-mel patches f32 [B,1,frames,bands].

    The windowed Fourier transform is a convolution with cosines and sines, which every runtime supports. In
    float32 it differs from ``log_mel_at``, computed in float64, by less than 1e-2 in nearly silent bands.
    """

    fourier_basis: Tensor
    mel_filters: Tensor

    def __init__(self, frontend: Frontend = VGGISH) -> None:
        super().__init__()
        self.frontend = frontend
        win_length, n_fft = frontend.win_length, frontend.n_fft
        angles = 2 * np.pi * np.arange(n_fft // 2 + 1)[:, None] * np.arange(win_length) / n_fft
        basis = frontend.window * np.concatenate([np.cos(angles), np.sin(angles)])
        self.register_buffer(
            "fourier_basis", torch.from_numpy(basis).float()[:, None]
        )  # [2 bins,1,win_length]
        filters = mel_filters(frontend.mel, frontend.sample_rate, n_fft)
        self.register_buffer("mel_filters", torch.from_numpy(filters.T.copy()).float())  # [bands,bins]

    def forward(self, waveforms: Tensor) -> Tensor:
        """Compute log-mel patches, [B,num_samples] -> [B,1,frames,bands]."""
        frontend = self.frontend
        padded = F.pad(waveforms[:, None], frontend.padding, mode=frontend.pad_mode)
        spectrum = F.conv1d(padded, self.fourier_basis, stride=frontend.hop_length)
        real, imaginary = spectrum.chunk(2, dim=1)  # [B,bins,frames]
        power = real * real + imaginary * imaginary
        mel = self.mel_filters @ (power.sqrt() if frontend.power == 1 else power)
        return frontend.scale(mel, torch).transpose(1, 2)[:, None]
