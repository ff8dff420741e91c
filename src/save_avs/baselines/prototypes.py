"""Classes from a few examples: what each looks like and sounds like, on average."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from save_avs.baselines.baseline import Baseline, Features

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


class Recalling(Baseline):
    """A baseline that is told its classes by examples, without learning: `remember`, then ask."""

    prototypes: Prototypes | None = None

    def remember(self, support: Support) -> None:
        """Take these classes in place of any known before."""
        self.prototypes = make_prototypes(support)

    def segment(self, features: Features) -> Tensor:
        """Logits [B,1,4h,4w] of frames that were looked at.

        Raises:
            ValueError: when nothing was remembered.
        """
        if self.prototypes is None:
            raise ValueError(f"{self.name} knows no classes: let it remember some")
        logits = self.compare(features, self.prototypes)
        return F.interpolate(logits, scale_factor=UPSCALE, mode="bilinear", align_corners=False)

    @abstractmethod
    def compare(self, features: Features, known: Prototypes) -> Tensor:
        """Logits [B,1,h,w]: how likely each cell shows what is heard."""


def heard_and_seen(heard: Tensor, seen: Tensor, unseen: Tensor) -> Tensor:
    """Logits [B,1,h,w] of P(cell sounds) = sum over classes of P(class is heard) P(cell shows it).

    Args:
        heard: log P(class is heard), [B,N]; over the classes it adds up to one.
        seen: log P(cell shows the class), [B,N,h,w].
        unseen: log P(cell does not show it), [B,N,h,w].
    """
    weights = heard[:, :, None, None]
    yes, no = torch.logsumexp(weights + seen, 1), torch.logsumexp(weights + unseen, 1)
    return (yes - no).unsqueeze(1)
