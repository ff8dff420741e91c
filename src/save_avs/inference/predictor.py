"""A stream of chunks in, masks out: a video of any length in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from save_avs.audio import log_mel_at
from save_avs.errors import MediaError
from save_avs.inference.settings import check_batch, check_threshold
from save_avs.inference.square import from_square, to_square
from save_avs.model.save import Precision, Resize
from save_avs.types import F32, U8, Bool, Clip


class FrameModel(Protocol):
    """What the predictor asks of a model: `SAVE` and what is compared with it.

    Called with images u8 [B,3,S,S] and log-mel patches f32 [B,1,96,64], it gives logits [B,1,M,M].
    """

    @property
    def name(self) -> str:
        """How it calls itself in results."""
        ...

    @property
    def image_size(self) -> int:
        """Side S of the square it sees, pixels."""
        ...

    @property
    def resize(self) -> Resize:
        """How a frame becomes that square."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        ...

    @property
    def precision(self) -> Precision:
        """What to compute in."""
        ...

    @property
    def runtime(self) -> str:
        """What computes it: torch, or another runtime."""
        ...

    def __call__(self, images: Tensor, patches: Tensor) -> Tensor:
        """Mark what sounds."""
        ...


@dataclass(frozen=True)
class Prediction:
    """The masks of one chunk.

    Attributes:
        clip: the chunk itself.
        masks: pixels that sound, at the video's size, bool [T,H,W].
        scores: mean probability inside each mask, 0 where it is empty, f32 [T].
    """

    clip: Clip
    masks: Bool
    scores: F32


class Predictor:
    """Runs a model over chunks; each frame is paired with the 0.96 s of sound around its own time.

    Args:
        model: in evaluation mode, with its device and precision resolved.
        threshold: pixels of a higher probability are marked; between 0 and 1.
        batch: frames the model sees at once.

    Raises:
        UsageError: when an option is out of range.
    """

    def __init__(self, model: FrameModel, threshold: float = 0.5, batch: int = 16) -> None:
        check_threshold(threshold)
        check_batch(batch)
        self.model = model
        self.batch = batch
        self._cut = math.log(threshold / (1 - threshold))  # sigmoid(x) > threshold, said of the logit

    def __call__(self, clips: Iterable[Clip]) -> Iterator[Prediction]:
        """Yield the masks of each chunk as it comes.

        Raises:
            MediaError: when the frames of a later chunk differ in size from the first's.
        """
        size: tuple[int, ...] | None = None
        for clip in clips:
            shape = clip.frames.shape[1:3]
            size = size or shape
            if shape != size:
                raise MediaError(
                    f"the picture changes from {size[1]}x{size[0]} to {shape[1]}x{shape[0]} "
                    f"at {clip.times[0]:.2f} s; convert the video to one size first"
                )
            yield self.predict(clip)

    def predict(self, clip: Clip) -> Prediction:
        """Masks of one chunk. Without sound nothing sounds: the model is not asked, every mask is empty."""
        masks = np.zeros(clip.frames.shape[:3], dtype=np.bool_)
        scores = np.zeros(len(clip), dtype=np.float32)
        if len(clip.wave):
            patches = log_mel_at(clip.wave, clip.rate, clip.times, clip.wave_start)  # [T,96,64]
            for i in range(0, len(clip), self.batch):
                part = slice(i, i + self.batch)
                masks[part], scores[part] = self._predict_batch(clip.frames[part], patches[part])
        return Prediction(clip, masks, scores)

    @torch.inference_mode()
    def _predict_batch(self, frames: U8, patches: F32) -> tuple[Bool, F32]:
        model = self.model
        images = to_square(frames, model.image_size, model.resize).to(model.device)
        sounds = torch.from_numpy(patches).unsqueeze(1).to(model.device)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=model.precision == "bf16"):
            logits = model(images, sounds)  # [B,1,M,M]
        return self._masks(logits[:, 0], *frames.shape[1:3])

    def _masks(self, logits: Tensor, height: int, width: int) -> tuple[Bool, F32]:
        """Threshold at the video's size, a frame at a time: a batch of full-size floats would be large."""
        masks = torch.empty((len(logits), height, width), dtype=torch.bool, device=logits.device)
        inside = torch.empty(len(logits), device=logits.device)
        for i, frame in enumerate(logits):
            full = from_square(frame, height, width, self.model.resize)
            torch.gt(full, self._cut, out=masks[i])
            inside[i] = (full.sigmoid() * masks[i]).sum()
        scores = inside / masks.sum(dim=(1, 2)).clamp(min=1)
        return masks.cpu().numpy(), scores.cpu().numpy()
