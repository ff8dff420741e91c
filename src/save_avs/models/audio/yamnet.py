"""YAMNet, with the key names of the public PyTorch checkpoint."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.audio.frontend import YAMNET
from save_avs.models.audio.pretrained_backbone import AudioBackbone

_EPSILON = 1e-4  # YAMNet's own
# Width and stride of each separable layer.
_LAYERS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2))
_LAYERS += ((512, 1),) * 5 + ((1024, 2), (1024, 1))


class YAMNet(AudioBackbone):
    """MobileNet v1 over log-mel patches: [N,1,96,64] -> [N,1024]. 3.2 M parameters.

    A 3x3 convolution and thirteen separable ones, batch-norm and ReLU after each part, then the mean over
    time and frequency. The classifier is left out.

    Source: Plakal & Ellis, YAMNet (tensorflow/models); Howard et al. 2017 (arXiv 1704.04861); key names of
    w-hc/torch_audioset (MIT).
    """

    title = "YAMNet"
    dim = 1024
    frontend = YAMNET
    published_weights = ("yamnet",)
    ignored_prefixes = ("classifier.",)

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.ModuleDict({"fused": _ConvBlock(1, 32, kernel=3, stride=2)})
        channels = 32
        for i, (width, stride) in enumerate(_LAYERS, 2):
            depthwise = _ConvBlock(channels, channels, kernel=3, stride=stride, groups=channels)
            layer = nn.Sequential()
            layer.add_module("depthwise_conv", depthwise)
            layer.add_module("pointwise_conv", _ConvBlock(channels, width, kernel=1))
            self.add_module(f"layer{i}", layer)
            channels = width

    def forward(self, log_mel: Tensor) -> Tensor:
        """Embed patches, f32 [N,1,96,64] -> [N,1024]."""
        x = self.layer1["fused"](log_mel)
        for i in range(2, 2 + len(_LAYERS)):
            x = self.get_submodule(f"layer{i}")(x)
        return x.mean((2, 3))  # [N,1024,3,2] -> [N,1024]


class _ConvBlock(nn.Module):
    """Convolution, batch-norm, ReLU. Before stride 2, TensorFlow pads an even side at its end alone."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.pad_end = stride == 2
        padding = 0 if self.pad_end else kernel // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 1, 0, 1)) if self.pad_end else x
        return torch.relu(self.bn(self.conv(x)))
