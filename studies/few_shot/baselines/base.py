"""The base class of baselines: a head over the frozen encoders of a SAVE."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from save_avs.models.save import SAVE, Precision, Resize


class Features(NamedTuple):
    """Features of frames from the frozen encoders: image [B,C,h,w], independent of sound, and audio [B,D]."""

    image: Tensor
    audio: Tensor

    def take(self, rows: Tensor | Sequence[int]) -> Features:
        """The features of some of the frames."""
        return Features(self.image[rows], self.audio[rows])


@torch.no_grad()
def extract_features(save: SAVE, images: Tensor, log_mel: Tensor) -> Features:
    """Features of images u8 [B,3,S,S] and log-mel patches f32 [B,1,96,64], each by its own encoder."""
    image = save.sam.image_encoder(save.sam.preprocess(images))
    return Features(image.float(), save.audio_backbone(log_mel.to(save.dtype)).float())


class Baseline(nn.Module, ABC):
    """A head over the frozen encoders of a SAVE; image and audio meet only in the head.

    A frame's `Features` do not depend on the head: they can be computed once and used often.

    Args:
        name: its name in results.
        save: provides the encoders, in evaluation mode; they are not among the head's parameters.

    Attributes:
        trainable: names of its parts that are trained, for `freeze_except`.
    """

    trainable: ClassVar[tuple[str, ...]]

    def __init__(self, name: str, save: SAVE) -> None:
        super().__init__()
        self.name = name
        self.runtime = "torch"
        self._save = (save,)  # in a tuple, so that torch does not register it as a submodule

    @property
    def save(self) -> SAVE:
        """The model that provides the encoders."""
        return self._save[0]

    @property
    def image_size(self) -> int:
        """Side of the square input, pixels."""
        return self.save.image_size

    @property
    def resize(self) -> Resize:
        """How a frame becomes the square input."""
        return self.save.resize

    @property
    def device(self) -> torch.device:
        """Device of the encoders."""
        return self.save.device

    @property
    def precision(self) -> Precision:
        """Precision of the encoders."""
        return self.save.precision

    @abstractmethod
    def segment(self, features: Features) -> Tensor:
        """Mask logits [B,1,4h,4w] from features."""

    def forward(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Frames and their sound to mask logits [B,1,S/4,S/4]."""
        return self.segment(extract_features(self.save, images, log_mel))

    def clone_head(self) -> Self:
        """A copy of the head over the same encoders."""
        return deepcopy(self, {id(self.save): self.save})
