"""ProtoNet for audio-visual segmentation: cosine similarity to image and audio prototypes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.models.save import SAVE
from studies.few_shot.baselines.prototypes import PrototypeBaseline, Prototypes

INITIAL_SCALE = 20.0  # PANet's factor on cosine similarities


class ProtoNet(PrototypeBaseline):
    """Cosine similarity to image and audio prototypes, each with a learned scale.

    P(class c in cell) = softmax over the background and all classes of s cos(cell, image prototype of c)
    P(class c | audio) = softmax over all classes of t cos(audio, audio prototype of c)

    Args:
        save: provides the encoders.

    Source: Snell et al. 2017, arXiv 1703.05175; PANet, arXiv 1908.06391. The audio prototypes are ours.
    """

    trainable = ("log_image_scale", "log_audio_scale")

    def __init__(self, save: SAVE) -> None:
        super().__init__("protonet", save)
        self.log_image_scale = nn.Parameter(torch.tensor(INITIAL_SCALE).log())
        self.log_audio_scale = nn.Parameter(torch.tensor(INITIAL_SCALE).log())

    def audio_log_probs(self, audio: Tensor, prototypes: Prototypes) -> Tensor:
        """Log P(class | audio), [B,N]."""
        cosines = F.normalize(audio, dim=1) @ F.normalize(prototypes.audio, dim=1).T
        return F.log_softmax(self.log_audio_scale.exp() * cosines, dim=1)

    def image_log_probs(self, image: Tensor, prototypes: Prototypes) -> tuple[Tensor, Tensor]:
        """Log P(class in cell) and log P(not in cell), [B,N,h,w]."""
        vectors = torch.cat([prototypes.background[None], prototypes.image])  # [1+N,C]
        cosines = torch.einsum("bchw,nc->bnhw", F.normalize(image, dim=1), F.normalize(vectors, dim=1))
        log_probs = F.log_softmax(self.log_image_scale.exp() * cosines, dim=1)  # [B,1+N,h,w]
        return log_probs[:, 1:], _log_complement(log_probs)


def _log_complement(log_probs: Tensor) -> Tensor:
    """For each class, log P(the background or another class in cell): [B,1+N,h,w] -> [B,N,h,w]."""
    count = log_probs.shape[1]
    rest = [torch.logsumexp(log_probs[:, [k for k in range(count) if k != c]], 1) for c in range(1, count)]
    return torch.stack(rest, dim=1)
