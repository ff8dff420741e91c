"""Clips of a data set as SAVE trains on them: annotated frames, square, with their truth at two sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from save_avs.data.clipset import AudibleClips, ClipSet
from save_avs.errors import DataError
from save_avs.inference.square import inner_size, to_square
from save_avs.model.save import Resize
from save_avs.objectives.losses import UNLABELLED
from save_avs.training.augment_picture import augment_pictures, cut, middle_square
from save_avs.training.augment_sound import augment_sound
from save_avs.training.collate import STRIDE
from save_avs.training.order import EpochOrder
from save_avs.training.stage import AugmentConfig
from save_avs.types import F32, U8, AVBatch, AVSample, Bool

AS_IT_IS = AugmentConfig()
PICTURE, SOUND = 1, 2  # what is drawn for an item; the order draws from (seed, epoch), which is as 0 would be


class ClipItem(NamedTuple):
    """The annotated frames of a clip.

    images u8 [T,3,S,S]; patches f32 [T,1,frames,bands]; masks f32 [T,1,M,M], M = S/4; labels int64 [T,M,M],
    features f32 [T,D], where the data set has them; truths: T masks at their own size, bool [H,W].
    """

    name: str
    images: Tensor
    patches: Tensor
    masks: Tensor
    labels: Tensor | None
    features: Tensor | None
    truths: tuple[Tensor, ...]


class ClipBatch(NamedTuple):
    """Frames of several clips, and the truth of each at its own size, bool [H,W], on the CPU."""

    clips: AVBatch
    truths: tuple[Tensor, ...]


class ClipStream:
    """Clips of a split as items, in the split's order or, with an ``order``, in that.

    Frames without a mask are dropped before they cost anything: the loss does not see them, and no frame of
    SAVE looks at another.

    Args:
        clips: one split.
        size: side S of the square the model sees, pixels.
        resize: how a frame becomes that square.
        order: which clip comes i-th.
        redraw: opens the clips of an epoch anew, where the data set draws something of them at random.
        augment: how items are changed, drawn from (the order's seed, i); without an order they are not.
        centre_crop: keep the middle square of each frame.
    """

    def __init__(
        self,
        clips: ClipSet,
        size: int,
        resize: Resize,
        *,
        order: EpochOrder | None = None,
        redraw: Callable[[int], ClipSet] | None = None,
        augment: AugmentConfig = AS_IT_IS,
        centre_crop: bool = False,
    ) -> None:
        self.clips, self.size = clips, size
        self.resize: Resize = resize
        self.order, self.redraw = order, redraw
        self.augment, self.centre_crop = augment, centre_crop
        self._drawn: tuple[int, ClipSet] = (-1, clips)  # an epoch and its clips

    def __getitem__(self, i: int) -> ClipItem:
        """The i-th item.

        Raises:
            DataError: when a file of the clip is missing or broken, or none of its frames is annotated.
        """
        sample = annotated(self._sample(i))
        if self.centre_crop:
            sample = cut(sample, middle_square(*sample.frames.shape[1:3]))
        if self.order is not None:
            rng = np.random.default_rng((self.order.seed, i, PICTURE))
            sample = augment_pictures(sample, self.augment, rng)
        return self._item(sample)

    def _sample(self, i: int) -> AVSample:
        if self.order is None:
            return self.clips[i]
        epoch, index = self.order[i]
        clips = self._epoch(epoch)
        if not self.augment.of_sound:
            return clips[index]
        if not isinstance(clips, AudibleClips):
            raise TypeError(f"the sound of {clips.name} cannot be changed: it does not hand it out")
        rng = np.random.default_rng((self.order.seed, i, SOUND))
        return _heard_otherwise(clips, index, self.augment, rng)

    def _epoch(self, epoch: int) -> ClipSet:
        """The clips of an epoch."""
        if self.redraw is None:
            return self.clips
        if self._drawn[0] != epoch:
            self._drawn = epoch, self.redraw(epoch)
        return self._drawn[1]

    def _item(self, sample: AVSample) -> ClipItem:
        side = self.size // STRIDE
        labels, features = sample.labels, sample.features
        return ClipItem(
            name=sample.name,
            images=to_square(sample.frames, self.size, self.resize),
            patches=torch.from_numpy(sample.patches).unsqueeze(1),
            masks=shares(sample.masks, side, self.resize),
            labels=None if labels is None else cell_labels(labels, side, self.resize),
            features=None if features is None else torch.from_numpy(features),
            truths=tuple(torch.from_numpy(mask) for mask in sample.masks),
        )


def _heard_otherwise(
    clips: AudibleClips, index: int, options: AugmentConfig, rng: np.random.Generator
) -> AVSample:
    """A clip under its own sound, augmented; what may be mixed in is the sound of any other."""

    def other() -> F32:
        return clips.wave((index + 1 + int(rng.integers(max(1, len(clips) - 1)))) % len(clips))

    wave = augment_sound(clips.wave(index), clips.rate, options, rng, other)
    return clips.read(index, wave=wave)


def annotated(sample: AVSample) -> AVSample:
    """A clip's frames that exist and have a mask.

    Raises:
        DataError: when there is none.
    """
    keep = sample.valid & sample.has_mask
    if not keep.any():
        raise DataError(f"{sample.name}: none of its frames has a mask")
    kept = {part: values[keep] for part, values in vars(sample).items() if isinstance(values, np.ndarray)}
    return replace(sample, **kept)


def collate_items(items: Sequence[ClipItem]) -> ClipBatch:
    """Put the frames of all clips in one row."""
    images, patches, masks = (
        torch.cat(parts) for parts in zip(*((i.images, i.patches, i.masks) for i in items), strict=True)
    )
    batch = AVBatch(
        images=images,
        patches=patches,
        masks=masks,
        has_mask=torch.ones(len(images), dtype=torch.bool),
        names=tuple(item.name for item in items for _ in item.images),
        labels=_joined([item.labels for item in items]),
        features=_joined([item.features for item in items]),
    )
    return ClipBatch(batch, tuple(truth for item in items for truth in item.truths))


def shares(masks: Bool, side: int, resize: Resize) -> Tensor:
    """Share of each cell that is marked, the frame laid out as in the model's square: f32 [T,1,side,side]."""
    height, width = inner_size(masks.shape[1], masks.shape[2], side, resize)
    small = F.interpolate(torch.from_numpy(masks).float().unsqueeze(1), (height, width), mode="area")
    return F.pad(small, (0, side - width, 0, side - height))


def cell_labels(labels: U8, side: int, resize: Resize) -> Tensor:
    """The class in the middle of each cell, int64 [T,side,side]; `UNLABELLED` beside a padded frame."""
    height, width = inner_size(labels.shape[1], labels.shape[2], side, resize)
    near = F.interpolate(torch.from_numpy(labels).unsqueeze(1), (height, width), mode="nearest-exact")
    return F.pad(near, (0, side - width, 0, side - height), value=UNLABELLED).squeeze(1).long()


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    """All parts in one tensor, None where one is missing."""
    known = [part for part in parts if part is not None]
    return torch.cat(known) if len(known) == len(parts) else None
