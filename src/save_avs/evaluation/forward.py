"""Batches of the annotated frames of a data set, and a model's forward pass over them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from save_avs.datasets.base import AVDataset
from save_avs.errors import DataError, UsageError
from save_avs.inference.predictor import FrameModel
from save_avs.models.preprocess import preprocess_frames
from save_avs.models.save import Resize
from save_avs.types import F32, U8, AVSample, Bool


@dataclass(frozen=True)
class FrameBatch:
    """Frames of one or several clips."""

    images: Tensor  # u8 [B,3,S,S]
    log_mel: Tensor  # f32 [B,1,frames,bands]
    features: Tensor | None  # f32 [B,D]; None unless the data set has them for every frame
    targets: tuple[Bool, ...]  # bool [H,W] per frame, each at its own size
    labels: tuple[U8 | None, ...]  # u8 [H,W] per frame, or None
    clips: tuple[int, ...]  # index in the data set of each frame's clip
    positions: tuple[int, ...]  # index of the frame in its clip

    def __len__(self) -> int:
        return len(self.clips)


class _Frame(NamedTuple):
    image: Tensor
    log_mel: F32
    features: F32 | None
    target: Bool
    labels: U8 | None
    clip: int
    position: int


def read_frame_batches(
    clips: AVDataset,
    *,
    image_size: int | None,
    resize: Resize,
    batch_size: int,
    on_broken: Callable[[DataError], None] | None = None,
) -> Iterator[FrameBatch]:
    """Read all clips in order and batch their annotated frames across clips; the last batch may be smaller.

    With an ``image_size`` of None the batches have no pixels, for predictions that need none.

    A broken clip raises its DataError, which names the file; with ``on_broken``, that receives the error, and
    the clip is left out.
    """
    pending: list[_Frame] = []
    for i in range(len(clips)):
        try:
            sample = clips[i]
        except DataError as error:
            if on_broken is None:
                raise
            on_broken(error)
            continue
        annotated = np.flatnonzero(sample.has_mask & sample.valid)
        pending += _frames(sample, i, annotated, image_size=image_size, resize=resize)
        while len(pending) >= batch_size:
            yield _stack(pending[:batch_size])
            pending = pending[batch_size:]
    if pending:
        yield _stack(pending)


def single_frame_batch(
    sample: AVSample, clip: int, position: int, *, image_size: int | None, resize: Resize
) -> FrameBatch:
    """Make a batch of one frame of a clip."""
    return _stack(_frames(sample, clip, [position], image_size=image_size, resize=resize))


def _frames(
    sample: AVSample, clip: int, positions: Iterable[int], *, image_size: int | None, resize: Resize
) -> list[_Frame]:
    kept = [int(k) for k in positions]
    if not kept:
        return []
    images = torch.empty(len(kept), 3, 0, 0, dtype=torch.uint8)
    if image_size is not None:
        images = preprocess_frames(sample.frames[kept], image_size, resize)
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


def _stack(frames: list[_Frame]) -> FrameBatch:
    features = [f.features for f in frames if f.features is not None]
    return FrameBatch(
        images=torch.stack([f.image for f in frames]),
        log_mel=torch.from_numpy(np.stack([f.log_mel for f in frames])).unsqueeze(1),
        features=torch.from_numpy(np.stack(features)) if len(features) == len(frames) else None,
        targets=tuple(f.target for f in frames),
        labels=tuple(f.labels for f in frames),
        clips=tuple(f.clip for f in frames),
        positions=tuple(f.position for f in frames),
    )


def semantic_classes(model: FrameModel) -> tuple[str, ...]:
    """Return the classes of a model's semantic head, background first; empty without a head."""
    head = getattr(model, "semantic", None)
    return () if head is None else tuple(head.classes)


@torch.inference_mode()
def run_model(model: FrameModel, batch: FrameBatch, *, labels: bool = False) -> tuple[Tensor, Tensor | None]:
    """Run a model in its own precision, on its own device.

    Features that the data set provides replace the log-mel input, where the model takes features.

    Returns:
        Mask logits, f32 [B,M,M], and with ``labels`` class logits, f32 [B,K,M,M], else None.
    """
    images, log_mel = batch.images.to(model.device), batch.log_mel.to(model.device)
    full: Any = model  # a SAVE; other models may have neither `encode` nor a semantic head
    features = None
    if batch.features is not None and hasattr(model, "encode"):
        features = batch.features.to(model.device)
        _check_features(full, features)
    classes = None
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.precision == "bf16"):
        if labels:
            logits, classes = full.segment_classes(images, log_mel, features)
        elif features is not None:
            logits = full.decode(*full.encode(images, log_mel, features))
        else:
            logits = model(images, log_mel)
    return logits[:, 0].float(), None if classes is None else classes.float()


def _check_features(model: Any, features: Tensor) -> None:
    expected = model.audio_adapter.audio_dim
    if features.shape[1] != expected:
        raise UsageError(
            f"The data set's audio features have {features.shape[1]} values, but {model.name} takes "
            f"{expected}: compute them with the model's audio backbone."
        )
