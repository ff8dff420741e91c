"""Trivial models that ignore the kind of sound, as references for the listening score."""

from __future__ import annotations

import torch
from torch import Tensor

from save_avs.audio.frontend import VGGISH
from save_avs.audio.log_mel import SILENT_LOG_MEL
from save_avs.models.save import Precision, Resize

IMAGE_SIZE = 64
_LOUD = SILENT_LOG_MEL + 1.5  # mean log-mel above digital silence from which on a sound counts as loud
_LOGIT = 9.0


class _Baseline:
    """Common attributes of the baselines."""

    resize: Resize = "squash"
    precision: Precision = "fp32"
    runtime = "torch"
    device = torch.device("cpu")
    frontend = VGGISH
    image_size = IMAGE_SIZE


class MarkEverything(_Baseline):
    """Marks every pixel."""

    name = "marks everything"

    def __call__(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Images [B,3,S,S] and log-mel [B,1,frames,bands] to logits [B,1,S/4,S/4]."""
        return _constant_logits(images, _LOGIT)


class MarkNothing(_Baseline):
    """Marks no pixel."""

    name = "marks nothing"

    def __call__(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Images [B,3,S,S] and log-mel [B,1,frames,bands] to logits [B,1,S/4,S/4]."""
        return _constant_logits(images, -_LOGIT)


class MarkCenterWhenLoud(_Baseline):
    """Marks the center of the frame if the sound is loud."""

    name = "marks the center when loud"

    def __call__(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Images [B,3,S,S] and log-mel [B,1,frames,bands] to logits [B,1,S/4,S/4]."""
        logits = _constant_logits(images, -_LOGIT)
        quarter = logits.shape[-1] // 4
        center = slice(quarter, logits.shape[-1] - quarter)
        logits[..., center, center] = _LOGIT
        loud = log_mel.mean(dim=(1, 2, 3)) > _LOUD
        return torch.where(loud.view(-1, 1, 1, 1), logits, -_LOGIT)


BASELINES = (MarkEverything, MarkNothing, MarkCenterWhenLoud)


def _constant_logits(images: Tensor, value: float) -> Tensor:
    side = images.shape[-1] // 4
    return torch.full((len(images), 1, side, side), value)
