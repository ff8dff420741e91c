"""Asking a model about a batch of frames, in the arithmetic it was loaded for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from save_avs.errors import UsageError
from save_avs.evaluation.frames import FrameBatch
from save_avs.inference.predictor import FrameModel


def semantic_classes(model: FrameModel) -> tuple[str, ...]:
    """The classes that a model's semantic head names, background first; empty without a head."""
    head = getattr(model, "semantic", None)
    return () if head is None else tuple(head.classes)


@torch.inference_mode()
def run_model(model: FrameModel, batch: FrameBatch, *, labels: bool = False) -> tuple[Tensor, Tensor | None]:
    """Mask logits, float [B,M,M], and with ``labels`` class logits [B,K,M,M], on the model's device.

    Features that came with the frames stand in for their patches, where the model takes them.

    Raises:
        UsageError: the features are of another audio backbone than the model's.
    """
    images, log_mel = batch.images.to(model.device), batch.log_mel.to(model.device)
    full: Any = model  # a SAVE: what is compared with it may have neither features nor a head
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
    wanted = model.audio_adapter.audio_dim
    if features.shape[1] != wanted:
        raise UsageError(
            f"the data set's audio features have {features.shape[1]} values, {model.name} takes {wanted}: "
            "they are of another audio backbone"
        )
