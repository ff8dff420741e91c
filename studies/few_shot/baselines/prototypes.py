"""Class prototypes: the mean image and audio features of a few examples, and baselines that use them."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from studies.few_shot.baselines.base import Baseline, Features

EPSILON = 1e-6
UPSCALE = 4  # the model's logits have four times the grid's side


class Support(NamedTuple):
    """Examples: features of B frames, masks f32 [B,1,M,M] in 0..1, classes int64 [B]."""

    features: Features
    masks: Tensor
    classes: Tensor


class Prototypes(NamedTuple):
    """Of N classes: image [N,C] and audio [N,D] prototypes, and the image prototype of the background [C]."""

    image: Tensor
    audio: Tensor
    background: Tensor


def make_prototypes(support: Support) -> Prototypes:
    """Average the features of each class: the image's under the masks, the audio's as they are.

    Source: Snell et al. 2017, arXiv 1703.05175; masked average from PANet, arXiv 1908.06391.

    Raises:
        ValueError: when the classes are not numbered from 0, each with a frame.
    """
    classes = int(support.classes.max()) + 1
    one_hot = F.one_hot(support.classes, classes).float()  # [B,N]
    if not bool(one_hot.any(0).all()):
        raise ValueError("each class of the support must have a frame")
    image, audio = support.features
    shares = cell_shares(support.masks, image)
    foreground = masked_average(image, shares)
    background = masked_average(image, 1 - shares)
    weights = one_hot / one_hot.sum(0)  # each frame of a class counts the same
    return Prototypes(weights.T @ foreground, weights.T @ audio, background.mean(0))


def cell_shares(masks: Tensor, image: Tensor) -> Tensor:
    """Masks [B,1,M,M] as shares of an embedding's cells, [B,1,h,w]."""
    return F.adaptive_avg_pool2d(masks, (image.shape[2], image.shape[3]))


def masked_average(image: Tensor, shares: Tensor) -> Tensor:
    """Mean of [B,C,h,w] over the cells, each weighted by its share [B,1,h,w]: [B,C]."""
    return (image * shares).sum((2, 3)) / (shares.sum((2, 3)) + EPSILON)


class PrototypeBaseline(Baseline):
    """A baseline whose classes are given by examples, without training: `set_support`, then `segment`.

    P(cell sounds) = sum over classes of P(class | audio) P(class in cell)
    """

    _prototypes: Prototypes | None = None

    def set_support(self, support: Support) -> None:
        """Replace the classes by those of the support."""
        self._prototypes = make_prototypes(support)

    @property
    def prototypes(self) -> Prototypes:
        """The prototypes of the support.

        Raises:
            ValueError: when no support was set.
        """
        if self._prototypes is None:
            raise ValueError(f"{self.name} has no classes: call set_support first")
        return self._prototypes

    def segment(self, features: Features) -> Tensor:
        """Mask logits [B,1,4h,4w] from features.

        Raises:
            ValueError: when no support was set.
        """
        audio = self.audio_log_probs(features.audio, self.prototypes)[:, :, None, None]
        present, absent = self.image_log_probs(features.image, self.prototypes)
        logits = torch.logsumexp(audio + present, 1) - torch.logsumexp(audio + absent, 1)  # [B,h,w]
        return F.interpolate(logits.unsqueeze(1), scale_factor=UPSCALE, mode="bilinear", align_corners=False)

    @abstractmethod
    def audio_log_probs(self, audio: Tensor, prototypes: Prototypes) -> Tensor:
        """Log P(class | audio) of audio features [B,D]: [B,N], probabilities that sum to one."""

    @abstractmethod
    def image_log_probs(self, image: Tensor, prototypes: Prototypes) -> tuple[Tensor, Tensor]:
        """Log P(class in cell) of embeddings [B,C,h,w], and log P(not in cell): [B,N,h,w] each."""
