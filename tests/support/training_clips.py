"""Clips in memory: a square on the left that sounds low, one on the right that sounds high."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from save_avs.datasets.base import ClipMetadata
from save_avs.training.stage_config import ClipStage
from save_avs.types import AVSample


def make_clip(
    index: int,
    *,
    frames: int = 3,
    size: tuple[int, int] = (48, 48),
    annotated: int | None = None,
    **changes: Any,
) -> AVSample:
    """A clip of still frames with a bright square, on the left in even clips and on the right in odd ones."""
    height, width = size
    right = index % 2 == 1
    truth = np.zeros((frames, height, width), bool)
    truth[
        :, height // 4 : 3 * height // 4, (width // 2 if right else 0) : (width if right else width // 2)
    ] = True
    images = np.full((frames, height, width, 3), 40, np.uint8)
    images[truth] = (220, 60 + index, 30)
    log_mel = np.full((frames, 96, 64), -4.0, np.float32)
    log_mel[:, :, 40 if right else 10] = 2.0
    known = np.arange(frames) < (frames if annotated is None else annotated)
    sample = {
        "name": f"clip-{index}",
        "frames": images,
        "log_mel": log_mel,
        "masks": truth & known[:, None, None],
        "has_mask": known,
        "valid": np.ones(frames, bool),
        "labels": (truth * (1 + index % 2)).astype(np.uint8),
    }
    return AVSample(**{**sample, **changes})


@dataclass
class Clips:
    """A split of such clips; ``read`` lists which were asked for."""

    clips: list[AVSample]
    split: str = "train"
    name: str = "memory"
    classes: tuple[str, ...] = ()
    read: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> AVSample:
        self.read.append(i)
        return self.clips[i]

    def metadata(self, i: int) -> ClipMetadata:
        return ClipMetadata(self.clips[i].name, self.clips[i].name)

    def num_annotated(self, i: int) -> int | None:
        return int(self.clips[i].has_mask.sum())


def clip_stage(**changes: Any) -> ClipStage:
    """A stage of a few steps."""
    plain = {
        "name": "only",
        "task": "avs",
        "data": {"name": "memory", "root": "nowhere"},
        "steps": 6,
        "batch_size": 2,
        "lr": 1e-2,
    }
    return ClipStage.model_validate(plain | changes)
