"""What every audio backbone is."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from torch import nn

from save_avs.checkpoints.load import strict_load
from save_avs.checkpoints.safe import read_weights


class AudioBackbone(nn.Module):
    """A network from log-mel patches, f32 [N,1,96,64], to one vector each, [N,dim]."""

    dim: ClassVar[int]


_Backbone = TypeVar("_Backbone", bound=AudioBackbone)


def load_backbone(kind: type[_Backbone], path: str | Path) -> _Backbone:
    """Load a backbone's checkpoint: on the CPU, float32, frozen, in evaluation mode.

    Raises:
        UsageError: when there is no such file.
        SaveAvsError: when the file is damaged or does not fit; the line names every key that differs.
    """
    state = read_weights(path)
    with torch.device("meta"):  # random numbers are not drawn, only to be overwritten
        model = kind()
    model.to_empty(device="cpu")
    strict_load(model, state, source=str(path))
    return model.requires_grad_(False).eval()
