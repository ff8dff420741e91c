"""What all baselines share: the encoders of a SAVE, frozen and apart, and the model's interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from save_avs.model.save import SAVE, Precision, Resize


class Features(NamedTuple):
    """What the frozen encoders say of frames: image [B,C,h,w] without any sound in it, and sound [B,D]."""

    image: Tensor
    sound: Tensor

    def take(self, rows: Tensor | Sequence[int]) -> Features:
        """Some of the frames."""
        return Features(self.image[rows], self.sound[rows])


class Baseline(nn.Module, ABC):
    """A head over the frozen image encoder and audio backbone of a SAVE; sound meets picture in the head alone.

    A frame's `Features` do not depend on the head: they can be computed once and asked about often.

    Args:
        name: how it calls itself in results.
        save: whose encoders it uses; they are frozen, and in no state dict of the head.
    """

    def __init__(self, name: str, save: SAVE) -> None:
        super().__init__()
        self.name = name
        self.runtime = "torch"
        self._save = (save.requires_grad_(False).eval(),)  # in a tuple: it is no part of the head

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

    @torch.no_grad()
    def look(self, images: Tensor, patches: Tensor) -> Features:
        """Encode images u8 [B,3,S,S] and log-mel patches f32 [B,1,96,64]."""
        sam = self.save.sam
        image = sam.image_encoder(sam.normalise(images))
        return Features(image.float(), self.save.audio_backbone(patches.to(self.save.dtype)).float())

    @abstractmethod
    def segment(self, features: Features) -> Tensor:
        """Logits [B,1,4h,4w] of frames that were looked at."""

    def forward(self, images: Tensor, patches: Tensor) -> Tensor:
        """Frames and the sound beside each to mask logits [B,1,S/4,S/4]."""
        return self.segment(self.look(images, patches))

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Copy the head; the encoders, which never change, stay shared."""
        memo[id(self._save)] = self._save
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        from copy import deepcopy

        twin.__dict__.update({k: deepcopy(v, memo) for k, v in self.__dict__.items()})
        return twin
