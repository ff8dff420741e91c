"""OpenL3's audio networks, with the key names of the public PyTorch checkpoints."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.audio.frontend import OPENL3_MEL128, OPENL3_MEL256
from save_avs.models.audio.pretrained_backbone import AudioBackbone

_EPSILON = 1e-3  # Keras' own


class OpenL3(AudioBackbone):
    """Eight 3x3 convolutions over one second: [N,1,199,128 or 256] -> [N,512 or 6144]. 4.7 M parameters.

    Batch-norm before the first and after every convolution but the last; 2x2 max pooling after each pair but
    the last. The last pooling alone sets the width of the vectors. Base class of the four published networks;
    each was trained on music and on environmental sound, which gives two sets of weights.

    Source: Cramer et al. 2019 (ICASSP); key names of torchopenl3 (MIT), weights ported from openl3.
    """

    title = "OpenL3"
    ignored_prefixes = ("speclayer.",)
    mel_filters_key = "speclayer.mel_basis"
    pooled: ClassVar[tuple[int, int]]  # bands and frames of the last max pooling

    def __init__(self) -> None:
        super().__init__()
        self.batch_normalization_1 = nn.BatchNorm2d(1, eps=_EPSILON)
        channels = 1
        for i, width in enumerate((64, 64, 128, 128, 256, 256, 512), 1):
            self.add_module(f"conv2d_{i}", nn.Conv2d(channels, width, 3, padding=1))
            self.add_module(f"batch_normalization_{i + 1}", nn.BatchNorm2d(width, eps=_EPSILON))
            channels = width
        self.audio_embedding_layer = nn.Conv2d(channels, 512, 3, padding=1)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Embed patches, f32 [N,1,199,bands] -> [N,dim]."""
        x = self.batch_normalization_1(log_mel.transpose(2, 3))  # frequency comes first in these networks
        for i in range(1, 8):
            x = self.get_submodule(f"conv2d_{i}")(x)
            x = torch.relu(self.get_submodule(f"batch_normalization_{i + 1}")(x))
            if i in (2, 4, 6):
                x = F.max_pool2d(x, 2)
        x = F.max_pool2d(self.audio_embedding_layer(x), self.pooled)  # [N,512,f,t]
        # The weights come from Keras, which flattens with channels last.
        return x.permute(0, 2, 3, 1).flatten(1)


def _variant(n_mels: int, dim: int, pooled: tuple[int, int]) -> type[OpenL3]:
    members = {
        "__doc__": f"{n_mels} bands, {dim} wide.",
        "dim": dim,
        "frontend": OPENL3_MEL256 if n_mels == 256 else OPENL3_MEL128,
        "published_weights": tuple(f"openl3-{sounds}-mel{n_mels}-{dim}" for sounds in ("env", "music")),
        "pooled": pooled,
    }
    return type(f"OpenL3Mel{n_mels}D{dim}", (OpenL3,), members)


OPENL3_VARIANTS = {
    f"openl3-mel{n_mels}-{dim}": _variant(n_mels, dim, pooled)
    for n_mels, dim, pooled in (
        (128, 512, (16, 24)),
        (128, 6144, (4, 8)),
        (256, 512, (32, 24)),
        (256, 6144, (8, 8)),
    )
}
