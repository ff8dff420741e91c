"""Batches of synthetic samples, and what is done to batches of any kind."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from save_avs.synthesis.render import InstanceMap
from save_avs.synthesis.sample_streams import AudioTaggingSample, PromptSample, SceneSample
from save_avs.types import AVBatch, AVSample

MASK_STRIDE = 4  # the decoder's logits have a quarter of the image's side
PATCH_SIZE = 16  # a cell of the image embedding


def map_tensors(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Apply a function to every tensor of a batch of any kind; everything else stays."""
    if isinstance(batch, AVBatch):
        return replace(batch, **{k: change(v) for k, v in vars(batch).items() if isinstance(v, Tensor)})
    if isinstance(batch, Tensor):
        return change(batch)
    if hasattr(batch, "_fields"):
        return type(batch)(*(map_tensors(part, change) for part in batch))
    return batch


def to_device(batch: Any, device: torch.device) -> Any:
    """Move the tensors of a batch of any kind; from pinned memory asynchronously."""
    return map_tensors(batch, lambda tensor: tensor.to(device, non_blocking=True))


class SceneBatch(NamedTuple):
    """Clips, the group of each cell of their frames, int64 [B,S/16,S/16], and which classes sound in each.

    The background is group 0; ``sounds`` is f32 [B,classes].
    """

    clips: AVBatch
    groups: Tensor
    sounds: Tensor


def collate_scenes(scenes: Sequence[SceneSample]) -> SceneBatch:
    """Batch the frames of scenes and the groups of their cells."""
    groups = [_cell_groups(instances, scene.groups) for scene in scenes for instances in scene.instances]
    sounds = torch.from_numpy(np.concatenate([scene.sounds for scene in scenes]))
    return SceneBatch(collate_samples([scene.sample for scene in scenes]), _stack(groups), sounds)


def collate_samples(samples: Sequence[AVSample]) -> AVBatch:
    """Concatenate the valid frames of samples, masks at the decoder's size."""
    masks, log_mel, has_mask = (
        torch.from_numpy(np.concatenate([getattr(s, part)[s.valid] for s in samples]))
        for part in ("masks", "log_mel", "has_mask")
    )
    return AVBatch(
        images=_stack_images([frame for s in samples for frame in s.frames[s.valid]]),
        log_mel=log_mel.unsqueeze(1),
        masks=downsample_masks(masks),
        has_mask=has_mask,
        names=tuple(s.name for s in samples for _ in range(int(s.valid.sum()))),
    )


class PromptBatch(NamedTuple):
    """Images, one object of each to segment, and the group of each cell.

    images u8 [B,3,S,S]; point f32 [B,2] inside the object, pixels; box f32 [B,4]; by_box bool [B], whether
    the prompt is the box; masks f32 [B,1,S/4,S/4]; groups int64 [B,S/16,S/16], 0 for the background, else
    1 + group.
    """

    images: Tensor
    point: Tensor
    box: Tensor
    by_box: Tensor
    masks: Tensor
    groups: Tensor


def collate_prompts(samples: Sequence[PromptSample]) -> PromptBatch:
    """Stack images with their prompts."""
    return PromptBatch(
        images=_stack_images([s.image for s in samples]),
        point=_stack([s.point for s in samples]),
        box=_stack([s.box for s in samples]),
        by_box=torch.tensor([s.by_box for s in samples]),
        masks=downsample_masks(_stack([s.mask for s in samples])),
        groups=_stack([_cell_groups(s.instances, s.groups) for s in samples]),
    )


class AudioTaggingBatch(NamedTuple):
    """Log-mel patches f32 [B,1,frames,bands], and which classes sound, f32 [B,classes]."""

    log_mel: Tensor
    targets: Tensor


def collate_audio(samples: Sequence[AudioTaggingSample]) -> AudioTaggingBatch:
    """Stack sounds with their classes."""
    return AudioTaggingBatch(
        _stack([s.log_mel for s in samples]).unsqueeze(1), _stack([s.targets for s in samples])
    )


def downsample_masks(masks: Tensor) -> Tensor:
    """Return the masked fraction of each 4 x 4 cell: [B,S,S] -> f32 [B,1,S/4,S/4]."""
    return torch.nn.functional.avg_pool2d(masks.float().unsqueeze(1), MASK_STRIDE)


def _cell_groups(instances: InstanceMap, groups: tuple[int, ...]) -> np.ndarray:
    """Return the most frequent group of each 16 x 16 cell, int64 [S/16,S/16]; 0 is the background."""
    cells = instances.shape[0] // PATCH_SIZE
    blocks = instances.reshape(cells, PATCH_SIZE, cells, PATCH_SIZE)
    counts = np.stack([(blocks == k).sum(axis=(1, 3)) for k in range(-1, len(groups))])
    return np.array([0, *(1 + group for group in groups)])[counts.argmax(axis=0)]


def _stack(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def _stack_images(frames: Sequence[np.ndarray]) -> Tensor:
    """Stack frames u8 [S,S,3] to u8 [B,3,S,S]."""
    return _stack(frames).permute(0, 3, 1, 2).contiguous()
