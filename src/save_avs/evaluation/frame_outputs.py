"""Predictions for a batch of frames, at whatever size and in whatever form: from a model, or from files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from save_avs.evaluation.forward import FrameBatch, run_model, semantic_classes
from save_avs.inference.predictor import FrameModel
from save_avs.metrics.protocols import BENCHMARK_SIZE, FrameScoring
from save_avs.models.preprocess import postprocess_logits
from save_avs.models.save import Resize

Shape = tuple[int, int]


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


@dataclass(frozen=True)
class ModelSource:
    """A model in evaluation mode."""

    model: FrameModel
    reads_images = True

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.model.name

    @property
    def image_size(self) -> int:
        """Side of its square input, pixels."""
        return self.model.image_size

    @property
    def resize(self) -> Resize:
        """How a frame becomes that square."""
        return self.model.resize

    @property
    def precision(self) -> str:
        """Its numeric precision."""
        return self.model.precision

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of its semantic head."""
        return semantic_classes(self.model)

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
