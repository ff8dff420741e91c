"""Batches of the annotated frames of a data set, and a model's predictions for them at any size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from save_avs.datasets.base import AVDataset
from save_avs.errors import DataError, UsageError
from save_avs.inference.predictor import FrameModel
from save_avs.metrics.protocols import BENCHMARK_SIZE, FrameScoring
from save_avs.models.preprocess import postprocess_logits, preprocess_frames
from save_avs.models.save import Resize
from save_avs.types import U8, AVSample, Bool

Shape = tuple[int, int]


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
    pending: list[tuple[Any, ...]] = []
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
) -> list[tuple[Any, ...]]:
    """Return the fields of a `FrameBatch` for each frame."""
    kept = [int(k) for k in positions]
    if not kept:
        return []
    images = torch.empty(len(kept), 3, 0, 0, dtype=torch.uint8)
    if image_size is not None:
        images = preprocess_frames(sample.frames[kept], image_size, resize)
    features, labels = (
        [None] * len(sample.frames) if v is None else v for v in (sample.features, sample.labels)
    )
    return [
        (image, sample.log_mel[k], features[k], sample.masks[k], labels[k], clip, k)
        for image, k in zip(images, kept, strict=True)
    ]


def _stack(frames: Sequence[tuple[Any, ...]]) -> FrameBatch:
    images, log_mel, features, *rest = zip(*frames, strict=True)
    known = all(vector is not None for vector in features)
    return FrameBatch(
        torch.stack(images),
        torch.from_numpy(np.stack(log_mel)).unsqueeze(1),
        torch.from_numpy(np.stack(features)) if known else None,
        *rest,
    )


@torch.inference_mode()
def run_model(model: FrameModel, batch: FrameBatch, *, labels: bool = False) -> tuple[Tensor, Tensor | None]:
    """Run a model in its own precision, on its own device.

    Features that the data set provides replace the log-mel input, where the model takes features. Returns
    mask logits, f32 [B,M,M], and with ``labels`` class logits, f32 [B,K,M,M], else None.
    """
    images, log_mel = batch.images.to(model.device), batch.log_mel.to(model.device)
    full: Any = model  # a SAVE; other models may have neither `encode` nor a semantic head
    features = None
    if batch.features is not None and hasattr(model, "encode"):
        features, expected = batch.features.to(model.device), full.audio_adapter.audio_dim
        if features.shape[1] != expected:
            raise UsageError(
                f"The data set's audio features have {features.shape[1]} values, but {model.name} takes "
                f"{expected}: compute them with the model's audio backbone."
            )
    classes = None
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.precision == "bf16"):
        if labels:
            logits, classes = full.segment_classes(images, log_mel, features)
        elif features is not None:
            logits = full.decode(*full.encode(images, log_mel, features))
        else:
            logits = model(images, log_mel)
    return logits[:, 0].float(), None if classes is None else classes.float()


class MaskValues(NamedTuple):
    """Predicted masks of some frames, f32 [R,H,W]: probabilities, or logits."""

    values: Tensor
    are_probabilities: bool


@dataclass(frozen=True)
class ModelOutputs:
    """Logits as a model returns them."""

    masks: Tensor  # f32 [B,M,M]
    classes: Tensor | None  # f32 [B,K,M,M], or None
    resize: Resize  # how frames became the model's square

    def masks_at(self, rows: Sequence[int], shape: Shape, frame: Shape) -> MaskValues:
        """Resize logits bilinearly; the padding of a padded square is cut away first."""
        logits = self.masks[list(rows), None]
        return MaskValues(resize_logits(logits, shape, frame=frame, resize=self.resize)[:, 0], False)

    def labels_at_benchmark_size(self, rows: Sequence[int], frame: Shape) -> Tensor | None:
        """Resize class logits bilinearly, then take the largest."""
        if self.classes is None:
            return None
        shape = (BENCHMARK_SIZE, BENCHMARK_SIZE)
        return resize_logits(self.classes[list(rows)], shape, frame=frame, resize=self.resize).argmax(dim=1)


class ModelSource:
    """A model in evaluation mode; ``classes`` are those of its semantic head, background first."""

    reads_images = True

    def __init__(self, model: FrameModel) -> None:
        self.model, self.name, self.precision = model, model.name, model.precision
        self.image_size = model.image_size  # side of its square input, pixels
        self.resize: Resize = model.resize  # how a frame becomes that square
        head = getattr(model, "semantic", None)
        self.classes: tuple[str, ...] = () if head is None else tuple(head.classes)

    def predict(self, batch: FrameBatch, *, labels: bool) -> ModelOutputs:
        """Run the model."""
        return ModelOutputs(*run_model(self.model, batch, labels=labels), self.resize)


def comparison_shape(scoring: FrameScoring, target: Shape, image_size: int) -> Shape:
    """(height, width) at which frames are compared whose target has the size ``target``."""
    if scoring.size == "target":
        return target
    side = image_size if scoring.size == "network" else scoring.size
    return side, side


def resize_logits(logits: Tensor, shape: Shape, *, frame: Shape, resize: Resize) -> Tensor:
    """Resize logits [B,K,M,M] of frames of one size, ``frame``, bilinearly to [B,K,*shape].

    The padding of a padded square is cut away first.
    """
    if resize == "pad":
        rows = [torch.stack([postprocess_logits(k, *frame, resize) for k in one]) for one in logits]
        logits = torch.stack(rows)
    if logits.shape[-2:] == shape:
        return logits
    return F.interpolate(logits.float(), shape, mode="bilinear", align_corners=False)


def resize_target(target: Tensor, shape: Shape) -> Tensor:
    """Resize bool or integer maps [B,H,W] by nearest neighbor, with Pillow's alignment of pixel centers."""
    if target.shape[-2:] == shape:
        return target
    small = F.interpolate(target[:, None].to(torch.uint8), shape, mode="nearest-exact")
    return small[:, 0].to(target.dtype)
