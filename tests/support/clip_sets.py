"""Small datasets in memory, and a model with prescribed predictions for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import torch

from save_avs.datasets import ClipMetadata
from save_avs.errors import DataError
from save_avs.types import AVSample

CLASSES = ("background", "bell", "dog", "drum")


@dataclass
class Clips:
    """A ClipSet over samples; ``None`` stands for a broken one."""

    samples: list[AVSample | None]
    known: list[ClipMetadata]
    name: str = "s4"
    split: str = "test"
    classes: tuple[str, ...] = ()
    opened: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> AVSample:
        self.opened.append(i)
        sample = self.samples[i]
        if sample is None:
            raise DataError(f"clips/{i}.png: broken")
        return sample

    def metadata(self, i: int) -> ClipMetadata:
        return self.known[i]


def make_clips(
    frames: list[int],
    *,
    seed: int = 0,
    size: tuple[int, int] = (40, 48),
    silent: tuple[int, ...] = (),
    labeled: bool = False,
    features: int | None = None,
) -> Clips:
    """Clips of so many frames: a bright block on dark noise sounds; in ``silent`` ones nothing does."""
    rng = np.random.default_rng(seed)
    samples, metadata = [], []
    for i, n in enumerate(frames):
        images = rng.integers(0, 100, (n, *size, 3), dtype=np.uint8)
        masks = np.zeros((n, *size), bool)
        for k in range(n):
            top, left = rng.integers(0, size[0] // 2), rng.integers(0, size[1] // 2)
            masks[k, top : top + size[0] // 2, left : left + size[1] // 2] = i not in silent
        images[masks] += 120
        kind = 1 + i % 3
        samples.append(
            AVSample(
                name=f"clip-{i}",
                frames=images,
                log_mel=rng.normal(size=(n, 96, 64)).astype(np.float32),
                masks=masks,
                has_mask=np.ones(n, bool),
                valid=np.ones(n, bool),
                labels=(masks * kind).astype(np.uint8) if labeled else None,
                features=None if features is None else np.ones((n, features), np.float32),
            )
        )
        metadata.append(ClipMetadata(f"clip-{i}", f"video-{i // 2}", (CLASSES[kind],)))
    return Clips(samples, metadata, classes=CLASSES if labeled else ())


class Bright(torch.nn.Module):
    """Marks what is bright; with ``classes`` it says that all of it is a dog."""

    name, resize, precision, runtime = "bright", "squash", "fp32", "torch"
    device = torch.device("cpu")

    def __init__(self, size: int = 64, *, shift: float = 0.0, classes: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.image_size, self.shift = size, shift
        self.semantic = SimpleNamespace(classes=classes) if classes else None
        self.batches: list[int] = []

    def forward(self, images: torch.Tensor, log_mel: torch.Tensor) -> torch.Tensor:
        assert images.shape[1:] == (3, self.image_size, self.image_size)
        assert log_mel.shape == (len(images), 1, 96, 64)
        self.batches.append(len(images))
        gray = torch.nn.functional.avg_pool2d(images.float().mean(1, keepdim=True), 4)
        return (gray - 110 + self.shift) / 12

    def segment_classes(self, images, log_mel, features=None) -> tuple[torch.Tensor, torch.Tensor]:
        masks = self(images, log_mel)
        classes = torch.full((len(images), len(CLASSES), *masks.shape[2:]), -9.0)
        classes[:, 0], classes[:, 2] = 0, masks[:, 0]
        return masks, classes
