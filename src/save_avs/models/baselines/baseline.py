"""What all baselines share: the encoders of a SAVE, frozen and apart, and the model's interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from save_avs.models.save import SAVE, Precision, Resize


class Features(NamedTuple):
    """What the frozen encoders say of frames: image [B,C,h,w] without any sound in it, and sound [B,D]."""

    image: Tensor
    sound: Tensor

    def take(self, rows: Tensor | Sequence[int]) -> Features:
        """Some of the frames."""
        return Features(self.image[rows], self.sound[rows])


@torch.no_grad()
def extract_features(save: SAVE, images: Tensor, log_mel: Tensor) -> Features:
    """What a SAVE's encoders say of images u8 [B,3,S,S] and log-mel patches f32 [B,1,96,64], each alone."""
    image = save.sam.image_encoder(save.sam.preprocess(images))
    return Features(image.float(), save.audio_backbone(log_mel.to(save.dtype)).float())


class Baseline(nn.Module, ABC):
    """A head over the frozen encoders of a SAVE, in which alone sound meets picture.

    A frame's `Features` do not depend on the head: they can be computed once and asked about often.

    Args:
        name: how it calls itself in results.
        save: whose encoders it uses, in evaluation mode; they are no part of the head's parameters.

    Attributes:
        trained: names of its parts that learn, as `freeze_except` takes them.
    """

    trained: ClassVar[tuple[str, ...]]

    def __init__(self, name: str, save: SAVE) -> None:
        super().__init__()
        self.name = name
        self.runtime = "torch"
        self._save = (save,)  # in a tuple torch does not take it for a part of the head

    @property
    def save(self) -> SAVE:
        """Whose encoders it uses."""
        return self._save[0]

    @property
    def image_size(self) -> int:
        """Side of the square the model sees, pixels."""
        return self.save.image_size

    @property
    def resize(self) -> Resize:
        """How a frame becomes that square."""
        return self.save.resize

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.save.device

    @property
    def precision(self) -> Precision:
        """What to compute in."""
        return self.save.precision

    @abstractmethod
    def segment(self, features: Features) -> Tensor:
        """Logits [B,1,4h,4w] of frames that were looked at."""

    def forward(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Frames and the sound beside each to mask logits [B,1,S/4,S/4]."""
        return self.segment(extract_features(self.save, images, log_mel))

    def clone_head(self) -> Self:
        """A copy of the head over the same encoders."""
        return deepcopy(self, {id(self.save): self.save})
