"""The convolutional stem of a hybrid ViT: features of a network trained on ImageNet, added to the patches."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.errors import SaveAvsError
from save_avs.models.sam.common import LayerNorm2d
from save_avs.weights.state_dict import read_state_dict, strict_load

_MEAN, _STD = 127.0, 128.0  # of the pixels it was trained on
_EPSILON = 1e-3  # of its batch-norm
# Expansion, width, kernel, stride and repeats of each group of blocks.
_GROUPS = ((1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3))
_GROUPS += ((6, 112, 5, 1, 3), (6, 192, 5, 2, 4), (6, 320, 3, 1, 1))
_STRIDE_8, _STRIDE_16 = 4, 10  # the last block at each stride
_HEAD_WIDTH = 1280


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0: features at strides 8 and 16, logits of its classes at stride 32. 4.7 M parameters.

    Batch-norm is part of the convolutions' weights (`fold_batch_norm`), since the network stays frozen.

    Source: Tan & Le 2019 (arXiv 1905.11946) and the Lite variants in tensorflow/tpu; key names of
    efficientnet_lite_pytorch (Apache-2.0).
    """

    widths: tuple[int, int, int] = (40, 112, 1000)

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem: nn.Conv2d = _SameConv(3, 32, kernel=3, stride=2)
        self._blocks: nn.ModuleList = nn.ModuleList()
        channels = 32
        for expansion, width, kernel, stride, repeats in _GROUPS:
            for i in range(repeats):
                first = stride if i == 0 else 1
                self._blocks.append(
                    _MBConv(channels, width, expansion=expansion, kernel=kernel, stride=first)
                )
                channels = width
        self._conv_head: nn.Conv2d = _SameConv(channels, _HEAD_WIDTH, kernel=1)
        self._fc: nn.Linear = nn.Linear(_HEAD_WIDTH, self.widths[-1])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """RGB 0..255 [B,3,S,S] to [B,40,S/8,S/8], [B,112,S/16,S/16] and [B,1000,S/32,S/32]."""
        x = (images - _MEAN) / _STD
        x = F.relu6(self._conv_stem(x.contiguous(memory_format=torch.channels_last)))
        maps = []
        for block in self._blocks:
            x = block(x)
            maps.append(x)
        head = F.relu6(self._conv_head(x)).permute(0, 2, 3, 1)
        # the classifier of each cell: its mean over the cells is the published network's
        return maps[_STRIDE_8], maps[_STRIDE_16], self._fc(head).permute(0, 3, 1, 2)


class _MBConv(nn.Module):
    """Expand, depthwise, project; the input is added where the shape stays."""

    def __init__(self, inputs: int, outputs: int, *, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self._expand_conv = _SameConv(inputs, inner, kernel=1) if expansion > 1 else None
        self._depthwise_conv = _SameConv(inner, inner, kernel=kernel, stride=stride, groups=inner)
        self._project_conv = _SameConv(inner, outputs, kernel=1)
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self._expand_conv is None else F.relu6(self._expand_conv(x))
        y = self._project_conv(F.relu6(self._depthwise_conv(y)))
        return x + y if self.adds_input else y


class _SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow does: before stride 2, an even side gets one more at its end."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2 * (stride == 1), groups=groups)
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        self.uneven = (before, after, before, after) if stride > 1 else None

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input if self.uneven is None else F.pad(input, self.uneven))


def fold_batch_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published tensors with each batch-norm in the convolution before it."""
    norms = {"_conv_stem": "_bn0", "_conv_head": "_bn1"}
    norms |= {"_depthwise_conv": "_bn1", "_project_conv": "_bn2", "_expand_conv": "_bn0"}
    out = {f"_fc.{name}": state[f"_fc.{name}"] for name in ("weight", "bias")}
    for key in (key for key in state if key.endswith("conv.weight") or key.startswith("_conv")):
        conv = key.removesuffix(".weight")
        parent, _, name = conv.rpartition(".")
        norm = f"{parent}.{norms[name]}".lstrip(".")
        scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _EPSILON)
        out[f"{conv}.weight"] = state[key] * scale[:, None, None, None]
        out[f"{conv}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return out


def load_efficientnet(path: str | Path) -> EfficientNetLite0:
    """Load the published checkpoint: on the CPU, float32, frozen.

    Raises:
        UsageError: when there is no such file.
        SaveAvsError: when it is damaged, or another network's.
    """
    model = EfficientNetLite0()
    try:
        state = fold_batch_norm(read_state_dict(path))
    except KeyError as error:
        raise SaveAvsError(f"{path}: not the weights of EfficientNet-Lite0: it has no {error}") from error
    strict_load(model, state, source=str(path))
    return model.requires_grad_(False).eval()


class ImageStem(nn.Module):
    """A frozen network's features as tokens of the image encoder: [B,3,S,S] to [B,S/16,S/16,C].

    Each map is normalized over its channels and projected: stride 8 by patches of 2 x 2 cells, stride 32
    repeated. The projections are initialized to zero: an untrained stem changes nothing in the encoder.

    Attributes:
        dropout: in training, the probability that a frame goes without the map at stride 8, or at 16. What an
            object is must then be told from the published network's logits, which know more appearances
            than a small corpus has.

    Source: Dosovitskiy et al. 2021 (arXiv 2010.11929), hybrid architecture. There the features replace the
    patches; here they are added, so that the encoder keeps the pixels' detail and may be trained already.
    """

    def __init__(self, embed_dim: int, cnn: EfficientNetLite0 | None = None) -> None:
        super().__init__()
        self.cnn: EfficientNetLite0 = cnn or EfficientNetLite0()
        self.norms: nn.ModuleList = nn.ModuleList(LayerNorm2d(width) for width in self.cnn.widths)
        layers = [
            nn.Conv2d(width, embed_dim, size, size, bias=False)
            for width, size in zip(self.cnn.widths, (2, 1, 1), strict=True)
        ]
        for layer in layers:
            nn.init.zeros_(layer.weight)
        self.proj: nn.ModuleList = nn.ModuleList(layers)
        self.dropout: float = 0.0

    def forward(self, images: Tensor) -> Tensor:
        """RGB 0..255 [B,3,S,S], of any dtype, to [B,S/16,S/16,C]."""
        maps = self.cnn(images.to(next(self.proj.parameters()).dtype))
        fine, middle, coarse = (
            proj(norm(x)) for proj, norm, x in zip(self.proj, self.norms, maps, strict=True)
        )
        if self.training and self.dropout:
            fine, middle = (x * (torch.rand(len(x), 1, 1, 1) >= self.dropout).to(x) for x in (fine, middle))
        tokens = fine + middle + F.interpolate(coarse, scale_factor=2.0)
        return tokens.permute(0, 2, 3, 1).contiguous()
