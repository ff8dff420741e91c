"""Models that need no ears, beside which a listening score is read."""

from __future__ import annotations

import torch
from torch import Tensor

from save_avs.audio.log_mel import SILENT_LOG_MEL
from save_avs.models.save import Precision, Resize

_LOUD = SILENT_LOG_MEL + 1.5  # mean log-mel over digital silence from which on something seems to sound
_SURE = 9.0


class _Trivial:
    """What all of them say of themselves."""

    resize: Resize = "squash"
    precision: Precision = "fp32"
    runtime = "torch"
    device = torch.device("cpu")

    def __init__(self, image_size: int) -> None:
        self.image_size = image_size


class Everything(_Trivial):
    """Marks the whole picture, always."""

    name = "marks everything"

    def __call__(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Images [B,3,S,S] and patches [B,1,96,64] to logits [B,1,S/4,S/4]."""
        return _filled(images, _SURE)


class Nothing(_Trivial):
    """Marks no pixel, ever."""

    name = "marks nothing"

    def __call__(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Images [B,3,S,S] and patches [B,1,96,64] to logits [B,1,S/4,S/4]."""
        return _filled(images, -_SURE)


class MiddleWhenLoud(_Trivial):
    """Marks the middle of the picture while there is any sound: it hears that, and not what."""

    name = "marks the middle when it is loud"

    def __call__(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Images [B,3,S,S] and patches [B,1,96,64] to logits [B,1,S/4,S/4]."""
        logits = _filled(images, -_SURE)
        quarter = logits.shape[-1] // 4
        middle = slice(quarter, logits.shape[-1] - quarter)
        logits[..., middle, middle] = _SURE
        loud = log_mel.mean(dim=(1, 2, 3)) > _LOUD
        return torch.where(loud.view(-1, 1, 1, 1), logits, -_SURE)


TRIVIAL = (Everything, Nothing, MiddleWhenLoud)


def _filled(images: Tensor, value: float) -> Tensor:
    side = images.shape[-1] // 4
    return torch.full((len(images), 1, side, side), value)
