"""The task of SAVE itself: segment what sounds in the clips of a data set."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from save_avs.datasets.base import AVDataset
from save_avs.metrics import PROTOCOLS, UNLABELED, class_loss, frame_counts, mask_ious, save_loss
from save_avs.models.preprocess import postprocess_logits
from save_avs.models.save import SAVE
from save_avs.training.callbacks.base import ValidationImage
from save_avs.training.callbacks.pictures import validation_images
from save_avs.training.clip_dataset import ClipBatch, ClipStream, collate_items
from save_avs.training.epoch_order import EpochShuffle
from save_avs.training.schedule import clip_schedule
from save_avs.training.stage import ClipStage
from save_avs.training.tasks import Normalizer
from save_avs.types import AVBatch

THRESHOLD = PROTOCOLS["dataset"].scoring.threshold


class AVSegmentationTask:
    """SAVE segments what sounds, and names it where the stage asks for classes.

    Its validation is the protocol ``dataset``: each annotated frame of ``val`` once, at its own size.

    Args:
        model: with a semantic head where ``stage.semantic_weight`` is above 0.
        stage: the settings.
        train: the clips it learns from.
        val: the clips that choose.
        redraw: opens the clips of ``train`` as an epoch draws them; they are the same in all when None.
    """

    collate = staticmethod(collate_items)

    def __init__(
        self,
        model: SAVE,
        stage: ClipStage,
        *,
        train: AVDataset,
        val: AVDataset,
        redraw: Callable[[int], AVDataset] | None = None,
    ) -> None:
        self.plan = clip_schedule(stage, train=len(train), val=len(val))
        size, resize = model.image_size, model.resize
        self.stream = ClipStream(
            train,
            size,
            resize,
            order=EpochShuffle(len(train), stage.seed),
            redraw=redraw,
            augment=stage.augment,
            center_crop=stage.center_crop,
        )
        self.validation = ClipStream(val, size, resize)
        self.modules = nn.ModuleDict({"model": model})
        self.model, self.semantic_weight = model, stage.semantic_weight
        self.monitor = stage.monitor

    def count(self, batch: ClipBatch) -> Normalizer:
        """Frames of the clips; those without a mask were dropped before."""
        return Normalizer(len(batch.clips.images), float(batch.clips.has_mask.sum()))

    def loss(self, batch: ClipBatch, whole: Normalizer) -> dict[str, Tensor]:
        """Cross-entropy and soft IoU of the mask, and the cross-entropy of the classes."""
        clips = batch.clips
        logits, names = self._segment(clips)
        parts = save_loss(logits, clips.masks, clips.has_mask, whole.annotated)
        terms = {"loss": parts.total, "bce": parts.bce, "iou": parts.iou}
        if names is not None:
            terms["classes"] = class_loss(names, clips.labels, clips.has_mask, whole.annotated)
            terms["loss"] = parts.total + self.semantic_weight * terms["classes"]
        return terms

    def score(self, batch: ClipBatch) -> dict[str, Tensor]:
        """IoU of each frame's mask; of each class at the decoder's size, [B,K], NaN where it is absent."""
        logits, names = self._segment(batch.clips)
        rows = {"miou": self._ious(logits, batch.truths)}
        if names is not None:
            rows["class_miou"] = class_ious(names.argmax(1), batch.clips.labels, names.shape[1])
        return rows

    def pictures(self, batch: ClipBatch) -> list[ValidationImage]:
        """Annotated frames, as the model sees them."""
        clips = batch.clips
        return validation_images(clips.images, self._segment(clips)[0], clips.masks, clips.names)

    def _segment(self, clips: AVBatch) -> tuple[Tensor, Tensor | None]:
        embeddings, prompt = self.model.encode(clips.images, clips.log_mel, self._features(clips))
        if self.semantic_weight:
            return self.model.decode_classes(embeddings, prompt)
        return self.model.decode(embeddings, prompt), None

    def _features(self, clips: AVBatch) -> Tensor | None:
        """What the audio backbone said of these sounds once; nothing while it still learns."""
        learns = any(p.requires_grad for p in self.model.audio_backbone.parameters())
        return None if learns else clips.features

    def _ious(self, logits: Tensor, truths: tuple[Tensor, ...]) -> Tensor:
        counts = []
        for frame, truth in zip(logits.cpu(), truths, strict=True):
            probs = postprocess_logits(frame[0], truth.shape[0], truth.shape[1], self.model.resize).sigmoid()
            counts.append(frame_counts(probs[None], truth[None], THRESHOLD))
        return torch.from_numpy(mask_ious(torch.cat(counts)))


def class_ious(found: Tensor, truth: Tensor, classes: int) -> Tensor:
    """IoU of each class in each frame, f32 [B,K]: labels int64 [B,M,M]; NaN for a class in neither.

    Cells of `UNLABELED` do not count.
    """
    known = truth != UNLABELED
    rows = []
    for frame, labels, cells in zip(found, truth, known, strict=True):
        one, other = frame[cells], labels[cells]
        shared = torch.bincount(one[one == other], minlength=classes)
        union = torch.bincount(one, minlength=classes) + torch.bincount(other, minlength=classes) - shared
        rows.append(shared / union)  # 0 / 0 is NaN
    return torch.stack(rows)
