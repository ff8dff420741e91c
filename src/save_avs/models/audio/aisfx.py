"""aiSFX's network for sound effects, with the key names of its public checkpoint."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.audio.frontend import AISFX
from save_avs.models.audio.pretrained_backbone import AudioBackbone

_LARGEST = 9.457798957824707  # of the log-mel values that it was trained on


class AiSFX(AudioBackbone):
    """Four blocks of two 3x3 convolutions: patches [N,1,42,96] -> [N,512]. 4.7 M parameters.

    2x2 max pooling after each block but the last; then the mean over the bands and the maximum over time. The
    classifiers of its nine training sets are left out.

    Source: Ma & Lerch 2022 (ISMIR), model X-Sequential-CE; key names of alisonbma/aisfx (weights CC BY 4.0).
    """

    title = "aiSFX"
    dim = 512
    frontend = AISFX
    ignored_prefixes = ("fc.",)

    def __init__(self) -> None:
        super().__init__()
        self.embedding_net = nn.ModuleDict()
        channels = 1
        for i, width in enumerate((64, 128, 256, 512), 1):
            self.embedding_net[f"conv_block{i}"] = _ConvBlock(channels, width)
            channels = width

    def forward(self, log_mel: Tensor) -> Tensor:
        """Embed patches of any length, f32 [N,1,frames,96] -> [N,512]."""
        x = (log_mel / _LARGEST).contiguous(memory_format=torch.channels_last)
        for block in self.embedding_net.values():
            x = block(x if x.shape[1] == 1 else F.max_pool2d(x, 2))
        return x.mean(3).amax(2)  # [N,512,5,12] -> [N,512,5] -> [N,512]


class _ConvBlock(nn.Module):
    """Two convolutions, each with batch-norm and ReLU; [N,C,T,F] -> [N,D,T,F].

    Batch-norm keeps its published statistics in training too, as part of the convolution's weights: they are
    of far more sounds than a batch has, and one pass over the maps is saved.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(_normalized_conv(x, self.conv1, self.bn1))
        return torch.relu(_normalized_conv(x, self.conv2, self.bn2))


def _normalized_conv(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """A convolution and the batch-norm after it as one convolution."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    bias = norm.bias - norm.running_mean * scale
    return F.conv2d(x, conv.weight * scale[:, None, None, None], bias, padding=conv.padding)
