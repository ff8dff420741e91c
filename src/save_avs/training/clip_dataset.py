"""Clips of a data set as SAVE trains on them: annotated frames, square, with their truth at two sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from save_avs.audio.augment import augment_waveform
from save_avs.datasets.base import AVDataset, WaveformDataset
from save_avs.errors import DataError
from save_avs.losses import UNLABELED
from save_avs.models.preprocess import get_preprocess_shape, preprocess_frames
from save_avs.models.save import Resize
from save_avs.training.augment_image import augment_pictures, cut, middle_square
from save_avs.training.collate import STRIDE
from save_avs.training.epoch_order import EpochShuffle
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
    log_mel: Tensor
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
        center_crop: keep the middle square of each frame.
    """

    def __init__(
        self,
        clips: AVDataset,
        size: int,
        resize: Resize,
        *,
        order: EpochShuffle | None = None,
        redraw: Callable[[int], AVDataset] | None = None,
        augment: AugmentConfig = AS_IT_IS,
        center_crop: bool = False,
    ) -> None:
        self.clips, self.size = clips, size
        self.resize: Resize = resize
        self.order, self.redraw = order, redraw
        self.augment, self.center_crop = augment, center_crop
        self._drawn: tuple[int, AVDataset] = (-1, clips)  # an epoch and its clips

    def __getitem__(self, i: int) -> ClipItem:
        """The i-th item.

        Raises:
            DataError: when a file of the clip is missing or broken, or none of its frames is annotated.
        """
        sample = annotated(self._sample(i))
        if self.center_crop:
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
        if not isinstance(clips, WaveformDataset):
            raise TypeError(f"the sound of {clips.name} cannot be changed: it does not hand it out")
        rng = np.random.default_rng((self.order.seed, i, SOUND))
        return _heard_otherwise(clips, index, self.augment, rng)

    def _epoch(self, epoch: int) -> AVDataset:
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
            images=preprocess_frames(sample.frames, self.size, self.resize),
            log_mel=torch.from_numpy(sample.log_mel).unsqueeze(1),
            masks=shares(sample.masks, side, self.resize),
            labels=None if labels is None else cell_labels(labels, side, self.resize),
            features=None if features is None else torch.from_numpy(features),
            truths=tuple(torch.from_numpy(mask) for mask in sample.masks),
        )


def _heard_otherwise(
    clips: WaveformDataset, index: int, options: AugmentConfig, rng: np.random.Generator
) -> AVSample:
    """A clip under its own sound, augmented; what may be mixed in is the sound of any other."""

    def other() -> F32:
        return clips.waveform((index + 1 + int(rng.integers(max(1, len(clips) - 1)))) % len(clips))

    waveform = augment_waveform(
        clips.waveform(index),
        clips.sample_rate,
        rng,
        other,
        shift_s=options.shift_s,
        mix=options.mix,
        mix_db=options.mix_db,
        noise_db=options.noise_db,
        gain_db=options.gain_db,
    )
    return clips.read(index, waveform=waveform)


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
    images, log_mel, masks = (
        torch.cat(parts) for parts in zip(*((i.images, i.log_mel, i.masks) for i in items), strict=True)
    )
    batch = AVBatch(
        images=images,
        log_mel=log_mel,
        masks=masks,
        has_mask=torch.ones(len(images), dtype=torch.bool),
        names=tuple(item.name for item in items for _ in item.images),
        labels=_joined([item.labels for item in items]),
        features=_joined([item.features for item in items]),
    )
    return ClipBatch(batch, tuple(truth for item in items for truth in item.truths))


def shares(masks: Bool, side: int, resize: Resize) -> Tensor:
    """Share of each cell that is marked, the frame laid out as in the model's square: f32 [T,1,side,side]."""
    height, width = get_preprocess_shape(masks.shape[1], masks.shape[2], side, resize)
    small = F.interpolate(torch.from_numpy(masks).float().unsqueeze(1), (height, width), mode="area")
    return F.pad(small, (0, side - width, 0, side - height))


def cell_labels(labels: U8, side: int, resize: Resize) -> Tensor:
    """The class in the middle of each cell, int64 [T,side,side]; `UNLABELED` beside a padded frame."""
    height, width = get_preprocess_shape(labels.shape[1], labels.shape[2], side, resize)
    near = F.interpolate(torch.from_numpy(labels).unsqueeze(1), (height, width), mode="nearest-exact")
    return F.pad(near, (0, side - width, 0, side - height), value=UNLABELED).squeeze(1).long()


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    """All parts in one tensor, None where one is missing."""
    known = [part for part in parts if part is not None]
    return torch.cat(known) if len(known) == len(parts) else None
