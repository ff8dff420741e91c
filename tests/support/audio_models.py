"""Models that know the sounds and appearances of the tiny corpus: one listens, the others do not."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from save_avs.audio.log_mel import log_mel_at

# class to its color and its tone in the test split of tiny_corpus
KNOWN = {
    "square": ((180, 20, 60), 3500.0),
    "disc": ((30, 200, 30), 700.0),
    "ring": ((30, 30, 200), 1500.0),
    "bar": ((200, 200, 30), 2700.0),
}


def band_of(hertz: float) -> int:
    time = np.arange(16_000) / 16_000
    patch = log_mel_at((0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32), 16_000, [0.5])[0]
    return int(patch.mean(axis=0).argmax())


class Ears(torch.nn.Module):
    """Marks the colors whose tones it hears: an answer that is right but for edges and tints."""

    name, resize, precision, runtime, image_size = "ears", "squash", "fp32", "torch", 64
    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.colors = torch.tensor([color for color, _ in KNOWN.values()]).float()
        self.bands = [band_of(hertz) for _, hertz in KNOWN.values()]

    def forward(self, images: Tensor, log_mel: Tensor) -> Tensor:
        distances = (images.float()[:, None] - self.colors[None, :, :, None, None]).norm(dim=2)
        seen = distances < 45  # [B,classes,S,S]
        marked = (seen & self.heard(log_mel)[:, :, None, None]).any(dim=1, keepdim=True)
        return torch.where(marked, 9.0, -9.0)

    def heard(self, log_mel: Tensor) -> Tensor:
        """Which tones stand out, bool [B,classes]."""
        power = log_mel[:, 0].mean(dim=1).exp()  # [B,64]
        floor = power.median(dim=1).values
        return torch.stack([power[:, band] > 20 * floor for band in self.bands], dim=1)


class Salient(Ears):
    """Marks every colored thing there is, whatever it hears."""

    def heard(self, log_mel: Tensor) -> Tensor:
        return torch.ones(len(log_mel), len(KNOWN), dtype=torch.bool)


class SalientWhenLoud(Ears):
    """Marks every colored thing while anything is loud."""

    def heard(self, log_mel: Tensor) -> Tensor:
        loud = log_mel.amax(dim=(1, 2, 3)) > -2.0
        return loud[:, None].expand(-1, len(KNOWN))


class Dice(Ears):
    """Marks random objects, drawn again for each sound."""

    def heard(self, log_mel: Tensor) -> Tensor:
        seeds = [int(abs(float(patch.double().sum())) * 1e6) for patch in log_mel]
        return torch.stack(
            [torch.rand(len(KNOWN), generator=torch.Generator().manual_seed(s % 2**31)) < 0.5 for s in seeds]
        )
