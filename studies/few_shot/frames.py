"""Annotated frames in memory: pictures, sounds, truths, and what the frozen encoders say of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from save_avs.datasets.base import AVDataset, ClipMetadata
from save_avs.errors import DataError
from save_avs.evaluation.forward import FrameBatch
from save_avs.losses import UNLABELED
from save_avs.models.baselines import Features, Support, extract_features
from save_avs.models.save import SAVE
from save_avs.training.clip_dataset import ClipItem, ClipStream

BATCH = 16
JOIN = "+"  # between the names of classes that sound together


@dataclass(frozen=True)
class Frames:
    """Frames of several clips.

    Attributes:
        images: u8 [B,3,S,S].
        log_mel: f32 [B,1,frames,bands].
        masks: share of each of the decoder's cells that sounds, f32 [B,1,M,M].
        features: of the frozen encoders.
        truths: bool [H,W], one a frame, each at its own size.
        clips: the place of each frame's clip in its data set.
        classes: what sounds in each frame.
    """

    images: Tensor
    log_mel: Tensor
    masks: Tensor
    features: Features
    truths: tuple[Tensor, ...]
    clips: tuple[int, ...]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.clips)

    def take(self, rows: Sequence[int]) -> Frames:
        """Some of the frames."""
        at = torch.as_tensor(rows, dtype=torch.int64)
        return Frames(
            images=self.images[at],
            log_mel=self.log_mel[at],
            masks=self.masks[at],
            features=self.features.take(at),
            truths=tuple(self.truths[i] for i in rows),
            clips=tuple(self.clips[i] for i in rows),
            classes=tuple(self.classes[i] for i in rows),
        )

    def sounding(self) -> Frames:
        """The frames in which something sounds: those that can be examples."""
        return self.take(np.flatnonzero(self.masks.flatten(1).any(1).cpu().numpy()).tolist())

    def by_class(self) -> dict[str, list[int]]:
        """The rows of each class, sorted by name."""
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(self.classes):
            rows.setdefault(name, []).append(row)
        return dict(sorted(rows.items()))

    def first_of_each(self, count: int) -> Frames:
        """The first frames of each class, at most so many."""
        return self.take([row for rows in self.by_class().values() for row in rows[:count]])

    def support(self) -> Support:
        """As examples of the classes, numbered in the order of their names."""
        order = {name: k for k, name in enumerate(self.by_class())}
        numbers = torch.tensor([order[name] for name in self.classes], device=self.masks.device)
        return Support(self.features, self.masks, numbers)

    def batch(self) -> FrameBatch:
        """As the scorebook takes them."""
        return FrameBatch(
            images=self.images,
            log_mel=self.log_mel,
            features=None,
            targets=tuple(truth.numpy() for truth in self.truths),
            labels=(None,) * len(self),
            clips=self.clips,
            positions=tuple(self.clips[:row].count(clip) for row, clip in enumerate(self.clips)),
        )


def read_frames(clips: AVDataset, places: Iterable[int], save: SAVE, *, examples: bool = False) -> Frames:
    """Read the annotated frames of some clips, and let the encoders look at each once.

    Args:
        clips: the data set.
        places: of the clips in it.
        save: whose encoders look, and as whose input the frames are made square.
        examples: of each clip, only the first frame in which one class sounds.

    Raises:
        DataError: when a clip is broken, or there is no frame to be had.
    """
    stream = ClipStream(clips, save.image_size, save.resize)
    read: list[tuple[int, ClipItem]] = []
    for place in places:
        item = stream[place]
        read += [(place, p) for p in (_first_example(clips, place, item) if examples else [item])]
    if not read:
        raise DataError(f"{clips.name}, split {clips.split}: in no frame does one class sound alone")
    images, log_mel, masks = (
        torch.cat([getattr(item, part) for _, item in read]).to(save.device)
        for part in ("images", "log_mel", "masks")
    )
    return Frames(
        images=images,
        log_mel=log_mel,
        masks=masks,
        features=_look(save, images, log_mel),
        truths=tuple(truth for _, item in read for truth in item.full_masks),
        clips=tuple(place for place, item in read for _ in item.full_masks),
        classes=tuple(name for place, item in read for name in _classes(clips, place, item)),
    )


def read_chunks(clips: AVDataset, save: SAVE, *, clips_at_once: int = 4) -> Iterator[Frames]:
    """All clips in order, a few at a time."""
    for start in range(0, len(clips), clips_at_once):
        yield read_frames(clips, range(start, min(start + clips_at_once, len(clips))), save)


def class_of(metadata: ClipMetadata) -> str:
    """What sounds in a clip; several things together are a class of their own."""
    return JOIN.join(metadata.categories)


def _first_example(clips: AVDataset, place: int, item: ClipItem) -> list[ClipItem]:
    """A clip cut down to the first frame in which one class sounds; nothing where there is none."""
    names = _classes(clips, place, item)
    alone = [bool(item.masks[k].any()) and JOIN not in name for k, name in enumerate(names)]
    at = np.flatnonzero(alone)[:1].tolist()
    labels = None if item.labels is None else item.labels[at]
    cut = {part: getattr(item, part)[at] for part in ("images", "log_mel", "masks")}
    return [item._replace(**cut, labels=labels, full_masks=tuple(item.full_masks[k] for k in at)) for k in at]


def _classes(clips: AVDataset, place: int, item: ClipItem) -> list[str]:
    """What sounds in each frame: as its labels have it, else as its clip is said to sound."""
    if item.labels is None:
        return [class_of(clips.metadata(place))] * len(item.full_masks)
    shown = [set(frame.unique().tolist()) - {0, UNLABELED} for frame in item.labels]
    return [JOIN.join(clips.classes[k] for k in sorted(labels)) for labels in shown]


def _look(save: SAVE, images: Tensor, log_mel: Tensor) -> Features:
    parts = []
    with torch.autocast(save.device.type, torch.bfloat16, enabled=save.precision == "bf16"):
        for start in range(0, len(images), BATCH):
            parts.append(
                extract_features(save, images[start : start + BATCH], log_mel[start : start + BATCH])
            )
    return Features(torch.cat([p.image for p in parts]), torch.cat([p.audio for p in parts]))
