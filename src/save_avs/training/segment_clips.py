"""The task of SAVE itself: segment what sounds in the clips of a data set."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from save_avs.data.clipset import ClipSet
from save_avs.inference.square import from_square
from save_avs.model.save import SAVE
from save_avs.objectives import PROTOCOLS, UNLABELLED, class_loss, frame_counts, ious, save_loss
from save_avs.training.clips import ClipBatch, ClipStream, collate_items
from save_avs.training.order import EpochOrder
from save_avs.training.plan import plan_clips
from save_avs.training.stage import ClipStage
from save_avs.training.tasks import Counts
from save_avs.training.watching.pictures import pictures_of
from save_avs.training.watching.watch import Picture
from save_avs.types import AVBatch

THRESHOLD = PROTOCOLS["dataset"].view.threshold


class SegmentClips:
    """SAVE segments what sounds, and names it where the stage asks for classes.

    Its validation is the protocol ``dataset``: each annotated frame of ``val`` once, at its own size.

    Args:
        model: with a semantic head where ``stage.semantic`` is above 0.
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
        train: ClipSet,
        val: ClipSet,
        redraw: Callable[[int], ClipSet] | None = None,
    ) -> None:
        self.plan = plan_clips(stage, train=len(train), val=len(val))
        size, resize = model.image_size, model.resize
        self.stream = ClipStream(
            train,
            size,
            resize,
            order=EpochOrder(len(train), stage.seed),
            redraw=redraw,
            augment=stage.augment,
            centre_crop=stage.centre_crop,
        )
        self.validation = ClipStream(val, size, resize)
        self.modules = nn.ModuleDict({"model": model})
        self.model, self.semantic = model, stage.semantic
        self.chosen_by = stage.chosen_by

    def count(self, batch: ClipBatch) -> Counts:
        """Frames of the clips; those without a mask were dropped before."""
        return Counts(len(batch.clips.images), float(batch.clips.has_mask.sum()))

    def loss(self, batch: ClipBatch, whole: Counts) -> dict[str, Tensor]:
        """Cross-entropy and soft IoU of the mask, and the cross-entropy of the classes."""
        clips = batch.clips
        logits, names = self._segment(clips)
        parts = save_loss(logits, clips.masks, clips.has_mask, whole.annotated)
        terms = {"loss": parts.total, "bce": parts.bce, "iou": parts.iou}
        if names is not None:
            terms["classes"] = class_loss(names, clips.labels, clips.has_mask, whole.annotated)
            terms["loss"] = parts.total + self.semantic * terms["classes"]
        return terms

    def score(self, batch: ClipBatch) -> dict[str, Tensor]:
        """IoU of each frame's mask; of each class at the decoder's size, [B,K], NaN where it is absent."""
        logits, names = self._segment(batch.clips)
        rows = {"miou": self._ious(logits, batch.truths)}
        if names is not None:
            rows["class_miou"] = class_ious(names.argmax(1), batch.clips.labels, names.shape[1])
        return rows

    def pictures(self, batch: ClipBatch) -> list[Picture]:
        """Annotated frames, as the model sees them."""
        clips = batch.clips
        return pictures_of(clips.images, self._segment(clips)[0], clips.masks, clips.names)

    def _segment(self, clips: AVBatch) -> tuple[Tensor, Tensor | None]:
        embeddings, prompt = self.model.encode(clips.images, clips.patches, self._features(clips))
        if self.semantic:
            return self.model.decode_classes(embeddings, prompt)
        return self.model.decode(embeddings, prompt), None

    def _features(self, clips: AVBatch) -> Tensor | None:
        """What the audio backbone said of these sounds once; nothing while it still learns."""
        learns = any(p.requires_grad for p in self.model.audio_backbone.parameters())
        return None if learns else clips.features

    def _ious(self, logits: Tensor, truths: tuple[Tensor, ...]) -> Tensor:
        counts = []
        for frame, truth in zip(logits.cpu(), truths, strict=True):
            probs = from_square(frame[0], truth.shape[0], truth.shape[1], self.model.resize).sigmoid()
            counts.append(frame_counts(probs[None], truth[None], THRESHOLD))
        return torch.from_numpy(ious(torch.cat(counts)))


def class_ious(found: Tensor, truth: Tensor, classes: int) -> Tensor:
    """IoU of each class in each frame, f32 [B,K]: labels int64 [B,M,M]; NaN for a class in neither.

    Cells of `UNLABELLED` do not count.
    """
    known = truth != UNLABELLED
    rows = []
    for frame, labels, cells in zip(found, truth, known, strict=True):
        one, other = frame[cells], labels[cells]
        shared = torch.bincount(one[one == other], minlength=classes)
        union = torch.bincount(one, minlength=classes) + torch.bincount(other, minlength=classes) - shared
        rows.append(shared / union)  # 0 / 0 is NaN
    return torch.stack(rows)
