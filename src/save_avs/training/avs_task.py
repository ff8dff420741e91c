"""The audio-visual segmentation task: SAVE on the clips of a data set."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.datasets.base import AVDataset
from save_avs.losses import UNLABELED, class_loss
from save_avs.metrics.frame_scores import frame_counts, mask_ious
from save_avs.metrics.protocols import PROTOCOLS
from save_avs.models.preprocess import postprocess_logits
from save_avs.models.save import SAVE
from save_avs.training.callbacks.callback import ValidationImage
from save_avs.training.callbacks.validation_images import make_validation_images
from save_avs.training.clip_dataset import (
    ClipBatch,
    ClipStream,
    EpochShuffle,
    collate_clips,
    count_annotated,
)
from save_avs.training.stage_config import ClipStage
from save_avs.training.stage_schedule import clip_schedule
from save_avs.training.tasks import Normalizer, Task, mask_terms
from save_avs.types import AVBatch

THRESHOLD = PROTOCOLS["dataset"].scoring.threshold


class AVSegmentationTask(Task):
    """Trains SAVE to segment sounding objects, and to classify them if the stage has a semantic weight.

    Validation follows the protocol ``dataset``: each annotated frame of ``val`` once, at its own size.
    ``redraw`` opens the clips of ``train`` for an epoch; None where they are the same in all.
    """

    collate = staticmethod(collate_clips)

    def __init__(
        self,
        model: SAVE,
        stage: ClipStage,
        *,
        train: AVDataset,
        val: AVDataset,
        redraw: Callable[[int], AVDataset] | None = None,
    ) -> None:
        frame_counts = count_annotated(train) if stage.batch_frames else None
        items = len(train) if frame_counts is None else sum(frame_counts)
        self.schedule = clip_schedule(stage, train=items, val=len(val))
        size, resize = model.image_size, model.resize
        self.stream = ClipStream(
            train,
            size,
            resize,
            EpochShuffle(items, stage.seed),
            redraw,
            augment=stage.augment,
            center_crop=stage.center_crop,
            frame_counts=frame_counts,
            loss_size=stage.loss_size,
        )
        self.val_stream = ClipStream(val, size, resize)
        self.modules = nn.ModuleDict({"model": model})
        self.model, self.semantic_weight = model, stage.semantic_weight

    def loss(self, batch: ClipBatch, total: Normalizer) -> dict[str, Tensor]:
        """Return the loss of the mask, and the cross-entropy of the classes in a semantic stage."""
        clips = batch.clips
        logits, class_logits = self._segment(clips)
        if clips.masks.shape != logits.shape:  # the loss is at the input's size
            logits = F.interpolate(
                logits.float(), clips.masks.shape[2:], mode="bilinear", align_corners=False
            )
        terms = mask_terms(logits, clips.masks, clips.has_mask, total)
        if class_logits is not None:
            classes = class_loss(class_logits, clips.labels, clips.has_mask, total.annotated)
            terms |= {"loss": terms["loss"] + self.semantic_weight * classes, "classes": classes}
        return terms

    def metrics(self, batch: ClipBatch) -> dict[str, Tensor]:
        """Return the IoU of each frame's mask, [B], and of each class at the decoder's size, [B,K].

        The IoU of a class that is absent from a frame is NaN.
        """
        logits, class_logits = self._segment(batch.clips)
        rows = {"miou": self._ious(logits, batch.full_masks)}
        if class_logits is not None:
            rows["class_miou"] = class_ious(class_logits.argmax(1), batch.clips.labels, class_logits.shape[1])
        return rows

    def images(self, batch: ClipBatch) -> list[ValidationImage]:
        """Return annotated frames as the model sees them."""
        clips = batch.clips
        return make_validation_images(clips.images, self._segment(clips)[0], clips.masks, clips.names)

    def _segment(self, clips: AVBatch) -> tuple[Tensor, Tensor | None]:
        """Return mask logits [B,1,M,M], and class logits [B,K,M,M] in a semantic stage."""
        backbone = self.model.audio_backbone
        frozen = not any(p.requires_grad for p in backbone.parameters())
        embedding, prompt = self.model.encode(clips.images, clips.log_mel, clips.features if frozen else None)
        if self.semantic_weight:
            return self.model.decode_classes(embedding, prompt)
        return self.model.decode(embedding, prompt), None

    def _ious(self, logits: Tensor, targets: tuple[Tensor, ...]) -> Tensor:
        counts = []
        for frame, target in zip(logits.cpu(), targets, strict=True):
            height, width = target.shape
            probs = postprocess_logits(frame[0], height, width, self.model.resize).sigmoid()
            counts.append(frame_counts(probs[None], target[None], THRESHOLD))
        return torch.from_numpy(mask_ious(torch.cat(counts)))


def class_ious(pred: Tensor, target: Tensor, classes: int) -> Tensor:
    """Return the IoU of each class in each frame, f32 [B,K], of labels int64 [B,M,M].

    It is NaN for a class in neither; cells of `UNLABELED` do not count.
    """
    rows = []
    for frame, labels, known in zip(pred, target, target != UNLABELED, strict=True):
        one, other = frame[known], labels[known]
        shared = torch.bincount(one[one == other], minlength=classes)
        union = torch.bincount(one, minlength=classes) + torch.bincount(other, minlength=classes) - shared
        rows.append(shared / union)  # 0 / 0 is NaN
    return torch.stack(rows)
