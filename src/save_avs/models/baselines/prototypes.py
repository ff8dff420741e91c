"""Classes from a few examples: what each looks like and sounds like, on average."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from save_avs.models.baselines.baseline import Baseline, Features

EPSILON = 1e-6
UPSCALE = 4  # the model's logits have four times the grid's side


class Support(NamedTuple):
    """Examples: features of B frames, what sounds in each, f32 [B,1,M,M] in 0..1, its class, int64 [B]."""

    features: Features
    masks: Tensor
    classes: Tensor


class Prototypes(NamedTuple):
    """Of N classes: looks [N,C], sounds [N,D], and the look of what is none of them, background [C]."""

    looks: Tensor
    sounds: Tensor
    background: Tensor


def make_prototypes(support: Support) -> Prototypes:
    """Average the features of each class: the image's under the masks, the sounds as they are.

    Source: Snell et al. 2017, arXiv 1703.05175; masked average from PANet, arXiv 1908.06391.

    Raises:
        ValueError: when the classes are not numbered from 0, each with a frame.
    """
    classes = int(support.classes.max()) + 1
    belongs = F.one_hot(support.classes, classes).float()  # [B,N]
    if not bool(belongs.any(0).all()):
        raise ValueError("each class of the support must have a frame")
    image, sound = support.features
    shares = cell_shares(support.masks, image)
    inside = masked_average(image, shares)
    outside = masked_average(image, 1 - shares)
    weights = belongs / belongs.sum(0)  # each frame of a class counts the same
    return Prototypes(weights.T @ inside, weights.T @ sound, outside.mean(0))


def cell_shares(masks: Tensor, image: Tensor) -> Tensor:
    """Masks [B,1,M,M] as shares of an embedding's cells, [B,1,h,w]."""
    return F.adaptive_avg_pool2d(masks, (image.shape[2], image.shape[3]))


def masked_average(image: Tensor, shares: Tensor) -> Tensor:
    """Mean of [B,C,h,w] over the cells, each weighed by its share of [B,1,h,w]: [B,C]."""
    return (image * shares).sum((2, 3)) / (shares.sum((2, 3)) + EPSILON)


class PrototypeBaseline(Baseline):
    """A baseline that is told its classes by examples, without learning: `set_support`, then ask.

    P(cell sounds) = sum over classes of P(class is heard) P(cell shows it)
    """

    prototypes: Prototypes | None = None

    def set_support(self, support: Support) -> None:
        """Take these classes in place of any known before."""
        self.prototypes = make_prototypes(support)

    @property
    def known(self) -> Prototypes:
        """The classes it was told.

        Raises:
            ValueError: when nothing was remembered.
        """
        if self.prototypes is None:
            raise ValueError(f"{self.name} knows no classes: let it remember some")
        return self.prototypes

    def segment(self, features: Features) -> Tensor:
        """Logits [B,1,4h,4w] of frames that were looked at.

        Raises:
            ValueError: when nothing was remembered.
        """
        heard = self.audio_log_probs(features.sound, self.known)[:, :, None, None]
        seen, unseen = self.image_log_probs(features.image, self.known)
        yes, no = torch.logsumexp(heard + seen, 1), torch.logsumexp(heard + unseen, 1)
        logits = (yes - no).unsqueeze(1)  # [B,1,h,w]
        return F.interpolate(logits, scale_factor=UPSCALE, mode="bilinear", align_corners=False)

    @abstractmethod
    def audio_log_probs(self, sound: Tensor, known: Prototypes) -> Tensor:
        """Log P(class is heard) in sounds [B,D]: [B,N], over the classes it adds up to one."""

    @abstractmethod
    def image_log_probs(self, image: Tensor, known: Prototypes) -> tuple[Tensor, Tensor]:
        """Log P(cell shows the class) in embeddings [B,C,h,w], and log P(it does not): [B,N,h,w] each."""
