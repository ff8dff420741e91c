"""The annotated frames of a data set, batch after batch across clips, as a model wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from save_avs.datasets.base import AVDataset
from save_avs.errors import DataError
from save_avs.models.preprocess import preprocess_frames
from save_avs.models.save import Resize
from save_avs.types import F32, U8, AVSample, Bool


@dataclass(frozen=True)
class FrameBatch:
    """Frames of one or several clips.

    Attributes:
        images: u8 [B,3,S,S].
        log_mel: f32 [B,1,frames,bands].
        features: f32 [B,D], where every frame came with them.
        truths: bool [H,W], one a frame, each at its own size.
        labels: u8 [H,W], one a frame, or None.
        clips: the place of each frame's clip in the data set.
        positions: its place in the clip.
    """

    images: Tensor
    log_mel: Tensor
    features: Tensor | None
    truths: tuple[Bool, ...]
    labels: tuple[U8 | None, ...]
    clips: tuple[int, ...]
    positions: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.clips)


class _Frame(NamedTuple):
    image: Tensor
    patch: F32
    feature: F32 | None
    truth: Bool
    labels: U8 | None
    clip: int
    position: int


def read_frames(
    clips: AVDataset,
    *,
    side: int,
    resize: Resize,
    batch: int,
    on_broken: Callable[[DataError], None] | None = None,
) -> Iterator[FrameBatch]:
    """Read all clips in order; frames that are annotated and exist, ``batch`` at a time, the last fewer.

    Args:
        clips: the data set.
        side: of the model's square, pixels.
        resize: how a frame becomes that square.
        batch: frames a batch.
        on_broken: hears of a broken clip, which is then left out; without it the first one ends the reading.

    Raises:
        DataError: a clip is broken; the line names its file.
    """
    held: list[_Frame] = []
    for i in range(len(clips)):
        try:
            sample = clips[i]
        except DataError as error:
            if on_broken is None:
                raise
            on_broken(error)
            continue
        held += frames_of(sample, i, np.flatnonzero(sample.has_mask & sample.valid), side=side, resize=resize)
        while len(held) >= batch:
            yield stack(held[:batch])
            held = held[batch:]
    if held:
        yield stack(held)


def frames_of(
    sample: AVSample, clip: int, positions: Iterable[int], *, side: int, resize: Resize
) -> list[_Frame]:
    """Some frames of a clip."""
    kept = [int(k) for k in positions]
    if not kept:
        return []
    images = preprocess_frames(sample.frames[kept], side, resize)
    return [
        _Frame(
            image,
            sample.log_mel[k],
            None if sample.features is None else sample.features[k],
            sample.masks[k],
            None if sample.labels is None else sample.labels[k],
            clip,
            k,
        )
        for image, k in zip(images, kept, strict=True)
    ]


def stack(frames: list[_Frame]) -> FrameBatch:
    """Make a batch of single frames."""
    known = [f.feature for f in frames if f.feature is not None]
    return FrameBatch(
        images=torch.stack([f.image for f in frames]),
        log_mel=torch.from_numpy(np.stack([f.patch for f in frames])).unsqueeze(1),
        features=torch.from_numpy(np.stack(known)) if len(known) == len(frames) else None,
        truths=tuple(f.truth for f in frames),
        labels=tuple(f.labels for f in frames),
        clips=tuple(f.clip for f in frames),
        positions=tuple(f.position for f in frames),
    )
