"""RelationNet for segmentation by sound: cells and sounds, compared with each class by learned modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.models.baselines.prototypes import PrototypeBaseline, Prototypes
from save_avs.models.save import SAVE


class RelationNet(PrototypeBaseline):
    """Relation scores of cells to looks, by a small convolutional module, and of sounds to sounds.

    P(cell shows c) = sigmoid(R(cell, look of c))
    P(c is heard) = softmax over all classes of S(sound, sound of c)

    Args:
        save: whose encoders it uses.
        hidden: channels within both modules; a multiple of 8.

    Source: Sung et al. 2018, arXiv 1711.06025. Cells in place of pictures, and the relation of sounds, are
    ours; groups are normalized in place of batches, in which frames would see each other.
    """

    trained = ("look_relation", "sound_relation")

    def __init__(self, save: SAVE, *, hidden: int = 64) -> None:
        super().__init__("relationnet", save)
        looks = save.sam.image_encoder.out_chans
        sounds = save.audio_adapter.audio_dim
        self.look_relation = nn.Sequential(
            nn.Conv2d(2 * looks, hidden, 1),
            nn.GroupNorm(8, hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.GroupNorm(8, hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, 1, 3, padding=1),
        )
        self.sound_relation = nn.Sequential(nn.Linear(2 * sounds, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def audio_log_probs(self, sound: Tensor, known: Prototypes) -> Tensor:
        """Log P(class is heard), [B,N]."""
        sounds = sound.unsqueeze(1).expand(-1, len(known.sounds), -1)  # [B,N,D]
        pairs = torch.cat([sounds, known.sounds.expand_as(sounds)], dim=2)
        return self.sound_relation(pairs).squeeze(2).log_softmax(dim=1)

    def image_log_probs(self, image: Tensor, known: Prototypes) -> tuple[Tensor, Tensor]:
        """Log P(cell shows the class) and log P(it does not), [B,N,h,w]."""
        frames, classes = len(image), len(known.looks)
        cells = image.unsqueeze(1).expand(-1, classes, -1, -1, -1)  # [B,N,C,h,w]
        looks = known.looks[None, :, :, None, None].expand_as(cells)
        relation = self.look_relation(torch.cat([cells, looks], dim=2).flatten(0, 1))  # [B*N,1,h,w]
        relation = relation.squeeze(1).unflatten(0, (frames, classes))
        return F.logsigmoid(relation), F.logsigmoid(-relation)
