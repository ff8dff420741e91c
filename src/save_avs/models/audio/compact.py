"""The compact backbone: a small residual CNN of our own, quick to train on a CPU."""

import torch
from torch import Tensor, nn

from save_avs.audio.frontend import VGGISH
from save_avs.models.audio.pretrained_backbone import AudioBackbone

# Center and half-range of log-mel values: silence is log(0.01) = -4.6, a full-scale sound about +3.
_MEAN, _STD = -1.5, 2.0


class CompactBackbone(AudioBackbone):
    """Residual CNN over log-mel patches: [N,1,96,64] -> [N,128], 0.54 M parameters.

    The stem halves time only, so that neighboring harmonics stay apart while channels are few. Three stages
    halve both axes; a convolution across all bands that remain reads the spectral envelope; mean and maximum
    over time keep both sustained and brief sounds; a LayerNorm bounds the output. Batch-norm is applied to
    maps only, so a batch of one trains too.
    """

    title = "our compact backbone"
    dim = 128
    frontend = VGGISH

    mean: Tensor
    std: Tensor

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 96)) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN))
        self.register_buffer("std", torch.tensor(_STD))
        first, _, last = widths
        self.stem = _conv(1, first // 2, kernel=(5, 5), stride=(2, 1))
        stages: list[nn.Module] = []
        channels = first // 2
        for width in widths:
            stages += [_conv(channels, width, kernel=(3, 3), stride=(2, 2)), _Residual(width)]
            channels = width
        self.stages = nn.Sequential(*stages)
        self.bands = nn.Sequential(
            nn.Conv2d(last, 2 * last, (1, 8), bias=False), nn.BatchNorm2d(2 * last), nn.ReLU()
        )
        self.head = nn.Linear(4 * last, self.dim)
        self.norm = nn.LayerNorm(self.dim)
        nn.utils.convert_conv2d_weight_memory_format(self, torch.channels_last)  # 1.5 times as fast on a CPU

    def forward(self, log_mel: Tensor) -> Tensor:
        """Embed patches, f32 [N,1,96,64] -> [N,128]."""
        x = self.stem((log_mel - self.mean) / self.std)  # [N,16,48,64]
        x = self.bands(self.stages(x)).flatten(2)  # [N,96,6,8] -> [N,192,6]
        pooled = torch.cat([x.mean(2), x.amax(2)], dim=1)  # [N,384]
        return self.norm(self.head(pooled))


class _Residual(nn.Module):
    """x + conv(conv(x)), then ReLU; [N,C,T,F] kept."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width, kernel=(3, 3), stride=(1, 1))
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


def _conv(inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
