"""Annotated frames in memory, with the frozen encoders' features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from save_avs.datasets.base import AVDataset, ClipMetadata
from save_avs.errors import DataError
from save_avs.evaluation.forward import FrameBatch
from save_avs.losses import UNLABELED
from save_avs.models.save import SAVE
from save_avs.training.clip_dataset import ClipBatch, ClipStream
from studies.few_shot.baselines import Features, Support, extract_features

BATCH_SIZE = 16
SEPARATOR = "+"  # between classes that sound together


@dataclass(frozen=True)
class FrameSet:
    """Frames of several clips.

    Attributes:
        images: u8 [B,3,S,S].
        log_mel: f32 [B,1,frames,bands].
        masks: share of each of the decoder's cells that sounds, f32 [B,1,M,M].
        features: of the frozen encoders.
        targets: bool [H,W] per frame, each at its own size.
        clips: index in the data set of each frame's clip.
        classes: sounding class of each frame.
    """

    images: Tensor
    log_mel: Tensor
    masks: Tensor
    features: Features
    targets: tuple[Tensor, ...]
    clips: tuple[int, ...]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.clips)

    def take(self, rows: Sequence[int]) -> FrameSet:
        """Some of the frames."""
        index = torch.as_tensor(rows, dtype=torch.int64)
        return FrameSet(
            images=self.images[index],
            log_mel=self.log_mel[index],
            masks=self.masks[index],
            features=self.features.take(index),
            targets=tuple(self.targets[i] for i in rows),
            clips=tuple(self.clips[i] for i in rows),
            classes=tuple(self.classes[i] for i in rows),
        )

    def sounding(self) -> FrameSet:
        """The frames with a sounding object, which can be examples."""
        return self.take(np.flatnonzero(self.masks.flatten(1).any(1).cpu().numpy()).tolist())

    def by_clip(self) -> list[FrameSet]:
        """The frames of each clip."""
        rows: dict[int, list[int]] = {}
        for row, clip in enumerate(self.clips):
            rows.setdefault(clip, []).append(row)
        return [self.take(part) for part in rows.values()]

    def rows_by_class(self) -> dict[str, list[int]]:
        """The rows of each class, sorted by name."""
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(self.classes):
            rows.setdefault(name, []).append(row)
        return dict(sorted(rows.items()))

    def first_of_each(self, count: int) -> FrameSet:
        """The first frames of each class, at most ``count``."""
        return self.take([row for rows in self.rows_by_class().values() for row in rows[:count]])

    def support(self) -> Support:
        """As a support set, classes numbered in the order of their names."""
        numbers = {name: k for k, name in enumerate(self.rows_by_class())}
        classes = torch.tensor([numbers[name] for name in self.classes], device=self.masks.device)
        return Support(self.features, self.masks, classes)

    def batch(self) -> FrameBatch:
        """As a batch for scoring."""
        return FrameBatch(
            images=self.images,
            log_mel=self.log_mel,
            features=None,
            targets=tuple(target.numpy() for target in self.targets),
            labels=(None,) * len(self),
            clips=self.clips,
            positions=tuple(self.clips[:row].count(clip) for row, clip in enumerate(self.clips)),
        )


def read_frame_set(
    clips: AVDataset, indices: Iterable[int], save: SAVE, *, examples: bool = False
) -> FrameSet:
    """Read the annotated frames of some clips and extract their features.

    Args:
        clips: the data set.
        indices: of the clips in it.
        save: whose encoders extract the features.
        examples: take only the first frame of each clip with a single sounding class.

    Raises:
        DataError: a clip is broken, or there is no such frame.
    """
    stream = ClipStream(clips, save.image_size, save.resize)
    items: list[tuple[int, ClipBatch]] = []
    for i in indices:
        item = stream[i]
        items += [(i, part) for part in (_first_example(clips, i, item) if examples else [item])]
    if not items:
        raise DataError(f"{clips.name}, split {clips.split}: no frame has a single sounding class.")
    images, log_mel, masks = (
        torch.cat([getattr(item.clips, part) for _, item in items]).to(save.device)
        for part in ("images", "log_mel", "masks")
    )
    return FrameSet(
        images=images,
        log_mel=log_mel,
        masks=masks,
        features=_extract_features(save, images, log_mel),
        targets=tuple(target for _, item in items for target in item.full_masks),
        clips=tuple(i for i, item in items for _ in item.full_masks),
        classes=tuple(name for i, item in items for name in _frame_classes(clips, i, item)),
    )


@dataclass(frozen=True)
class ClipFrames(Sequence[FrameSet]):
    """The frames of each clip of a data set, read when asked for."""

    clips: AVDataset
    save: SAVE

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> FrameSet:  # pyright: ignore[reportIncompatibleMethodOverride]
        return read_frame_set(self.clips, [i], self.save)


def read_in_parts(clips: AVDataset, save: SAVE, *, clips_at_once: int = 4) -> Iterator[FrameSet]:
    """Read all clips in order, a few at a time."""
    for start in range(0, len(clips), clips_at_once):
        yield read_frame_set(clips, range(start, min(start + clips_at_once, len(clips))), save)


def clip_class(metadata: ClipMetadata) -> str:
    """Sounding class of a clip; several classes together are one of their own."""
    return SEPARATOR.join(metadata.categories)


def _first_example(clips: AVDataset, i: int, item: ClipBatch) -> list[ClipBatch]:
    """A clip cut down to its first frame with a single sounding class; empty without one."""
    names = _frame_classes(clips, i, item)
    single = [bool(item.clips.masks[k].any()) and SEPARATOR not in name for k, name in enumerate(names)]
    return [
        ClipBatch(
            replace(
                item.clips,
                names=item.clips.names[k : k + 1],
                **{n: v[k : k + 1] for n, v in vars(item.clips).items() if isinstance(v, Tensor)},
            ),
            item.full_masks[k : k + 1],
        )
        for k in np.flatnonzero(single)[:1].tolist()
    ]


def _frame_classes(clips: AVDataset, i: int, item: ClipBatch) -> list[str]:
    """Sounding class of each frame: by its labels, else by its clip's categories."""
    if item.clips.labels is None:
        return [clip_class(clips.metadata(i))] * len(item.full_masks)
    labels = [set(frame.unique().tolist()) - {0, UNLABELED} for frame in item.clips.labels]
    return [SEPARATOR.join(clips.classes[k] for k in sorted(numbers)) for numbers in labels]


def _extract_features(save: SAVE, images: Tensor, log_mel: Tensor) -> Features:
    with torch.autocast(save.device.type, torch.bfloat16, enabled=save.precision == "bf16"):
        parts = [
            extract_features(save, images[i : i + BATCH_SIZE], log_mel[i : i + BATCH_SIZE])
            for i in range(0, len(images), BATCH_SIZE)
        ]
    return Features(torch.cat([p.image for p in parts]), torch.cat([p.audio for p in parts]))
