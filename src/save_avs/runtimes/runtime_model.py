"""A SAVE that another runtime computes, with the face that the predictor asks for."""

from __future__ import annotations

import torch
from torch import Tensor

from save_avs.models.config import SaveConfig
from save_avs.models.save import Precision, Resize
from save_avs.runtimes.base import InferenceSession


class RuntimeModel:
    """Frames and sound to mask logits through an engine; it neither trains nor names what it hears.

    Attributes:
        name, image_size, resize, front_end: the model's.
        device: always the CPU.
        precision: what the engine computes in.
        runtime: its name.
    """

    def __init__(
        self, config: SaveConfig, engine: InferenceSession, *, precision: Precision, runtime: str
    ) -> None:
        self.name = config.name
        self.image_size = config.image_size
        self.resize: Resize = config.resize
        self.frontend = config.frontend
        self.device = torch.device("cpu")
        self.precision: Precision = precision
        self.runtime = runtime
        self._engine = engine

    def __call__(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Images 0..255 [B,3,S,S] and patches f32 [B,1,frames,bands] to logits f32 [B,1,S/4,S/4]."""
        return self._engine(images.to(torch.uint8), log_mel)
