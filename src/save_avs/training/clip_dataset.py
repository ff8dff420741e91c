"""Clips of a data set as training items: annotated frames, squared, with masks at two sizes."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from save_avs.audio.augment import augment_waveform
from save_avs.datasets.base import AVDataset
from save_avs.datasets.image_and_video_clips import ClipDataset
from save_avs.errors import DataError, UsageError
from save_avs.losses import UNLABELED
from save_avs.models.preprocess import get_preprocess_shape, preprocess_frames
from save_avs.models.save import Resize
from save_avs.training.augment_image import augment_images, center_square, crop
from save_avs.training.collate import MASK_STRIDE
from save_avs.training.stage_config import AugmentConfig, LossSize
from save_avs.types import F32, U8, AVBatch, AVSample, Bool

# Random generators of an item are seeded with (seed, item, purpose); the order's with (seed, epoch).
IMAGE_RNG, AUDIO_RNG = 1, 2


class EpochShuffle:
    """Endless epochs, each a permutation drawn from (seed, epoch) alone: a resumed run sees the same items.

    Epochs follow one another without a gap: a batch may hold the end of one and the beginning of the next,
    and no clip is left out. A ValueError without a clip.
    """

    def __init__(self, clips: int, seed: int) -> None:
        if clips < 1:
            raise ValueError("an epoch needs at least one clip")
        self.clips, self.seed = clips, seed
        self._cached: tuple[int, np.ndarray] | None = None

    def __getitem__(self, i: int) -> tuple[int, int]:
        """Return the epoch of the i-th item, and its index in the data set."""
        epoch, position = divmod(i, self.clips)
        if self._cached is None or self._cached[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch))
            self._cached = epoch, rng.permutation(self.clips)
        return epoch, int(self._cached[1][position])


class ClipBatch(NamedTuple):
    """Annotated frames of one or more clips, and the mask of each at its own size, bool [H,W], on the CPU."""

    clips: AVBatch
    full_masks: tuple[Tensor, ...]


def count_annotated(clips: AVDataset) -> list[int]:
    """Count the annotated frames of each clip, from the data set's tables alone.

    A UsageError if a clip is a video, which would have to be decoded.
    """
    counts = [clips.num_annotated(i) for i in range(len(clips))]
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        raise UsageError(f"batch_frames: {clips.name} has videos, whose frames are not known: use batch_size")
    return known


class ClipStream:
    """Items of a split: its clips, in the split's order or in a shuffled one, or single frames, shuffled.

    Frames without a mask are dropped before they cost anything: the loss does not see them, and no frame of
    SAVE looks at another.

    Args:
        clips: one split.
        size: side S of the model's input, pixels.
        resize: how a frame becomes that square.
        order: which clip, or frame, comes i-th.
        redraw: opens the clips of an epoch, where the data set draws some of them at random.
        augment: augmentation, drawn from (the order's seed, i); without an order there is none.
        center_crop: keep the middle square of each frame.
        frame_counts: annotated frames of each clip, of which each is an item; None for whole clips.
        loss_size: size of the masks: S/4 for ``logits``, S for ``input``.
    """

    def __init__(
        self,
        clips: AVDataset,
        size: int,
        resize: Resize,
        order: EpochShuffle | None = None,
        redraw: Callable[[int], AVDataset] | None = None,
        *,
        augment: AugmentConfig | None = None,
        center_crop: bool = False,
        frame_counts: Sequence[int] | None = None,
        loss_size: LossSize = "logits",
    ) -> None:
        self.clips, self.size, self.loss_size = clips, size, loss_size
        self.resize: Resize = resize
        self.order, self.redraw = order, redraw
        self.augment, self.center_crop = augment or AugmentConfig(), center_crop
        self._epoch_clips: tuple[int, AVDataset] = (-1, clips)  # an epoch and its clips
        self._frame_ends = None if frame_counts is None else np.array(list(accumulate(frame_counts)))

    def __getitem__(self, i: int) -> ClipBatch:
        """Return the i-th item; a DataError if a file is missing or broken, or no frame is annotated."""
        epoch, clip, frame = self._locate(i)
        sample = annotated(self._sample(i, epoch, clip))
        if frame is not None:
            sample = _select(sample, [frame])
        if self.center_crop:
            sample = crop(sample, center_square(*sample.frames.shape[1:3]))
        if self.order is not None:
            rng = np.random.default_rng((self.order.seed, i, IMAGE_RNG))
            sample = augment_images(sample, self.augment, rng)
        return self._item(sample)

    def _locate(self, i: int) -> tuple[int, int, int | None]:
        """Return the epoch of the i-th item, its clip, and which of the annotated frames; None for all."""
        epoch, index = (0, i) if self.order is None else self.order[i]
        if self._frame_ends is None:
            return epoch, index, None
        clip = int(np.searchsorted(self._frame_ends, index, side="right"))
        return epoch, clip, index - (int(self._frame_ends[clip - 1]) if clip else 0)

    def _sample(self, i: int, epoch: int, index: int) -> AVSample:
        if self.order is None:
            return self.clips[index]
        if self.redraw is not None and self._epoch_clips[0] != epoch:
            self._epoch_clips = epoch, self.redraw(epoch)
        clips = self._epoch_clips[1]
        if not self.augment.audio_fields:
            return clips[index]
        if not isinstance(clips, ClipDataset):
            raise TypeError(f"{clips.name} does not expose its audio, so audio augmentation is not supported")
        rng = np.random.default_rng((self.order.seed, i, AUDIO_RNG))
        return _with_augmented_audio(clips, index, self.augment, rng)

    def _item(self, sample: AVSample) -> ClipBatch:
        side = self.size // MASK_STRIDE
        labels, features = sample.labels, sample.features
        at_input = self.loss_size == "input"
        clip = AVBatch(
            images=preprocess_frames(sample.frames, self.size, self.resize),
            log_mel=torch.from_numpy(sample.log_mel).unsqueeze(1),
            masks=mask_pixels(sample.masks, self.size, self.resize)
            if at_input
            else mask_fractions(sample.masks, side, self.resize),
            has_mask=torch.from_numpy(sample.has_mask),
            names=(sample.name,) * len(sample.frames),
            labels=None if labels is None else cell_labels(labels, side, self.resize),
            features=None if features is None else torch.from_numpy(features),
        )
        return ClipBatch(clip, tuple(torch.from_numpy(mask) for mask in sample.masks))


def _with_augmented_audio(
    clips: ClipDataset, index: int, options: AugmentConfig, rng: np.random.Generator
) -> AVSample:
    """Read a clip with its sound augmented; the sound of any other clip may be mixed in."""

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
    """Return a clip's frames that exist and have a mask; a DataError when there is none."""
    keep = sample.valid & sample.has_mask
    if not keep.any():
        raise DataError(f"{sample.name}: none of its frames has a mask")
    return _select(sample, keep)


def _select(sample: AVSample, rows: Bool | list[int]) -> AVSample:
    """Return some frames of a clip."""
    kept = {name: values[rows] for name, values in vars(sample).items() if isinstance(values, np.ndarray)}
    return replace(sample, **kept)


def collate_clips(items: Sequence[ClipBatch]) -> ClipBatch:
    """Concatenate the frames of all clips; labels and features where all have them."""
    clips = [item.clips for item in items]
    names = tuple(name for clip in clips for name in clip.names)
    tensors = {}
    for name in (part.name for part in fields(AVBatch) if part.name != "names"):
        values = [getattr(clip, name) for clip in clips]
        tensors[name] = None if any(value is None for value in values) else torch.cat(values)
    full_masks = tuple(mask for item in items for mask in item.full_masks)
    return ClipBatch(AVBatch(names=names, **tensors), full_masks)


def mask_fractions(masks: Bool, side: int, resize: Resize) -> Tensor:
    """Return the masked fraction of each cell of the model's square, f32 [T,1,side,side], of bool [T,H,W]."""
    return _to_square(torch.from_numpy(masks).float(), side, resize, "area")


def mask_pixels(masks: Bool, size: int, resize: Resize) -> Tensor:
    """Return the masks at the model's input size by nearest pixel, f32 [T,1,size,size], of bool [T,H,W]."""
    return _to_square(torch.from_numpy(masks).to(torch.uint8), size, resize, "nearest-exact").float()


def cell_labels(labels: U8, side: int, resize: Resize) -> Tensor:
    """Return the class at the center of each cell, int64 [T,side,side]; `UNLABELED` in the padding."""
    cells = _to_square(torch.from_numpy(labels), side, resize, "nearest-exact", padding=UNLABELED)
    return cells.squeeze(1).long()


def _to_square(maps: Tensor, side: int, resize: Resize, mode: str, padding: int = 0) -> Tensor:
    """Resize maps [T,H,W] as frames are resized, and fill up the square, [T,1,side,side]."""
    height, width = get_preprocess_shape(maps.shape[1], maps.shape[2], side, resize)
    small = F.interpolate(maps.unsqueeze(1), (height, width), mode=mode)
    return F.pad(small, (0, side - width, 0, side - height), value=padding)
