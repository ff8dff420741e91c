"""RelationNet for audio-visual segmentation: cells and sounds compared with prototypes by learned modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.models.save import SAVE
from studies.few_shot.baselines.prototypes import PrototypeBaseline, Prototypes


class RelationNet(PrototypeBaseline):
    """Learned relation scores of cells to image prototypes and of audio to audio prototypes.

    P(class c in cell) = sigmoid(R(cell, image prototype of c))
    P(class c | audio) = softmax over all classes of S(audio, audio prototype of c)

    Args:
        save: provides the encoders.
        hidden: channels within both modules; a multiple of 8.

    Source: Sung et al. 2018, arXiv 1711.06025. Cells instead of images, and the relation of audio, are ours;
    group norm instead of batch norm, with which frames would influence each other.
    """

    trainable = ("image_relation", "audio_relation")

    def __init__(self, save: SAVE, *, hidden: int = 64) -> None:
        super().__init__("relationnet", save)
        image_dim = save.sam.image_encoder.out_chans
        audio_dim = save.audio_adapter.audio_dim
        self.image_relation = nn.Sequential(
            nn.Conv2d(2 * image_dim, hidden, 1),
            nn.GroupNorm(8, hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.GroupNorm(8, hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, 1, 3, padding=1),
        )
        self.audio_relation = nn.Sequential(nn.Linear(2 * audio_dim, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def audio_log_probs(self, audio: Tensor, prototypes: Prototypes) -> Tensor:
        """Log P(class | audio), [B,N]."""
        expanded = audio.unsqueeze(1).expand(-1, len(prototypes.audio), -1)  # [B,N,D]
        pairs = torch.cat([expanded, prototypes.audio.expand_as(expanded)], dim=2)
        return self.audio_relation(pairs).squeeze(2).log_softmax(dim=1)

    def image_log_probs(self, image: Tensor, prototypes: Prototypes) -> tuple[Tensor, Tensor]:
        """Log P(class in cell) and log P(not in cell), [B,N,h,w]."""
        frames, classes = len(image), len(prototypes.image)
        cells = image.unsqueeze(1).expand(-1, classes, -1, -1, -1)  # [B,N,C,h,w]
        vectors = prototypes.image[None, :, :, None, None].expand_as(cells)
        relation = self.image_relation(torch.cat([cells, vectors], dim=2).flatten(0, 1))  # [B*N,1,h,w]
        relation = relation.squeeze(1).unflatten(0, (frames, classes))
        return F.logsigmoid(relation), F.logsigmoid(-relation)
