"""ProtoNet for segmentation by sound: the nearest audio prototype says which look to search for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.models.baselines.prototypes import PrototypeBaseline, Prototypes
from save_avs.models.save import SAVE

SHARPNESS = 20.0  # PANet's factor on cosine similarities


class ProtoNet(PrototypeBaseline):
    """Cosine similarity to prototypes of looks and of sounds, each softened by a learned sharpness.

    P(cell shows c) = softmax over the background and all classes of s cos(cell, look of c)
    P(c is heard) = softmax over all classes of t cos(sound, sound of c)

    Args:
        save: whose encoders it uses.

    Source: Snell et al. 2017, arXiv 1703.05175; PANet, arXiv 1908.06391. The audio prototypes are ours.
    """

    trained = ("looking", "listening")

    def __init__(self, save: SAVE) -> None:
        super().__init__("protonet", save)
        self.looking = nn.Parameter(torch.tensor(SHARPNESS).log())
        self.listening = nn.Parameter(torch.tensor(SHARPNESS).log())

    def audio_log_probs(self, sound: Tensor, known: Prototypes) -> Tensor:
        """Log P(class is heard), [B,N]."""
        alike = F.normalize(sound, dim=1) @ F.normalize(known.sounds, dim=1).T
        return F.log_softmax(self.listening.exp() * alike, dim=1)

    def image_log_probs(self, image: Tensor, known: Prototypes) -> tuple[Tensor, Tensor]:
        """Log P(cell shows the class) and log P(it does not), [B,N,h,w]."""
        looks = torch.cat([known.background[None], known.looks])  # [1+N,C]
        near = torch.einsum("bchw,nc->bnhw", F.normalize(image, dim=1), F.normalize(looks, dim=1))
        shown = F.log_softmax(self.looking.exp() * near, dim=1)  # [B,1+N,h,w]
        return shown[:, 1:], _others(shown)


def _others(shown: Tensor) -> Tensor:
    """For each class, log P(cell shows the background or another class): [B,1+N,h,w] -> [B,N,h,w]."""
    count = shown.shape[1]
    rest = [torch.logsumexp(shown[:, [k for k in range(count) if k != c]], 1) for c in range(1, count)]
    return torch.stack(rest, dim=1)
