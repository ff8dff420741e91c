"""Drawn samples to batches of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from save_avs.synthesis.render import InstanceMap
from save_avs.synthesis.streams import AudioTaggingSample, PromptSample, SceneSample
from save_avs.types import AVBatch, AVSample

STRIDE = 4  # the decoder's logits are a quarter of the picture's side
PATCH = 16  # a cell of the image embedding


def images_of(frames: Sequence[np.ndarray]) -> Tensor:
    """Frames u8 [S,S,3] to u8 [B,3,S,S]."""
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()


def each_tensor(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A batch of any kind with each of its tensors changed; what is no tensor stays."""
    if isinstance(batch, AVBatch):
        return replace(batch, **{k: change(v) for k, v in vars(batch).items() if isinstance(v, Tensor)})
    if isinstance(batch, Tensor):
        return change(batch)
    if hasattr(batch, "_fields"):
        return type(batch)(*(each_tensor(part, change) for part in batch))
    return batch


def to_device(batch: Any, device: torch.device) -> Any:
    """A batch of any kind with its tensors on a device; from pinned memory they come while it computes."""
    return each_tensor(batch, lambda tensor: tensor.to(device, non_blocking=True))


def frames_in(batch: Any) -> int:
    """Frames, or sounds, of a batch of any kind."""
    while not isinstance(batch, Tensor):
        batch = batch.images if isinstance(batch, AVBatch) else batch[0]
    return len(batch)


def shrink(masks: Tensor, stride: int) -> Tensor:
    """Share of each stride x stride cell that is marked: [B,S,S] -> f32 [B,1,S/stride,S/stride]."""
    return torch.nn.functional.avg_pool2d(masks.float().unsqueeze(1), stride)


class SceneBatch(NamedTuple):
    """Clips, and what each cell of their frames shows, int64 [B,S/16,S/16]: 0 for the background."""

    clips: AVBatch
    groups: Tensor


def collate_scenes(scenes: Sequence[SceneSample]) -> SceneBatch:
    """Clips with the cells that name what they show."""
    cells = [_cells(instances, scene.groups) for scene in scenes for instances in scene.instances]
    return SceneBatch(collate_clips([scene.sample for scene in scenes]), torch.from_numpy(np.stack(cells)))


def collate_clips(samples: Sequence[AVSample]) -> AVBatch:
    """Flatten the valid frames of samples into one batch, masks at the decoder's size."""
    masks = torch.from_numpy(np.concatenate([s.masks[s.valid] for s in samples]))
    return AVBatch(
        images=images_of([frame for s in samples for frame in s.frames[s.valid]]),
        log_mel=torch.from_numpy(np.concatenate([s.log_mel[s.valid] for s in samples])).unsqueeze(1),
        masks=shrink(masks, STRIDE),
        has_mask=torch.from_numpy(np.concatenate([s.has_mask[s.valid] for s in samples])),
        names=tuple(s.name for s in samples for _ in range(int(s.valid.sum()))),
    )


class PromptBatch(NamedTuple):
    """Pictures, one thing of each to segment, and what each cell shows.

    images u8 [B,3,S,S]; point f32 [B,2] inside the thing, pixels; box f32 [B,4]; by_box bool [B], which of
    them asks; masks f32 [B,1,S/4,S/4]; groups int64 [B,S/16,S/16], 0 for the background, else 1 + group.
    """

    images: Tensor
    point: Tensor
    box: Tensor
    by_box: Tensor
    masks: Tensor
    groups: Tensor


def collate_things(samples: Sequence[PromptSample]) -> PromptBatch:
    """Stack pictures with their prompts."""
    return PromptBatch(
        images=images_of([s.image for s in samples]),
        point=torch.from_numpy(np.stack([s.point for s in samples])),
        box=torch.from_numpy(np.stack([s.box for s in samples])),
        by_box=torch.tensor([s.by_box for s in samples]),
        masks=shrink(torch.from_numpy(np.stack([s.mask for s in samples])), STRIDE),
        groups=torch.from_numpy(np.stack([_cells(s.instances, s.groups) for s in samples])),
    )


def _cells(instances: InstanceMap, groups: tuple[int, ...]) -> np.ndarray:
    """What most of each 16 x 16 cell shows, int64 [S/16,S/16]: 0 for the background, else 1 + group."""
    cells = instances.shape[0] // PATCH
    values = range(-1, len(groups))
    blocks = instances.reshape(cells, PATCH, cells, PATCH)
    share = np.stack([(blocks == v).sum(axis=(1, 3)) for v in values])
    return np.array([0, *(1 + g for g in groups)])[share.argmax(axis=0)]


class SoundBatch(NamedTuple):
    """Patches f32 [B,1,frames,bands] and the classes heard, f32 [B,classes]."""

    log_mel: Tensor
    targets: Tensor


def collate_sounds(samples: Sequence[AudioTaggingSample]) -> SoundBatch:
    """Stack sounds."""
    log_mel = torch.from_numpy(np.stack([s.log_mel for s in samples])).unsqueeze(1)
    return SoundBatch(log_mel, torch.from_numpy(np.stack([s.targets for s in samples])))
