"""What every audio backbone is."""

from __future__ import annotations

from typing import ClassVar

from torch import nn


class AudioBackbone(nn.Module):
    """A network from log-mel patches, f32 [N,1,96,64], to one vector each, [N,dim]."""

    dim: ClassVar[int]
