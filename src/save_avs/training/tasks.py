"""Training tasks on synthetic data: audio tagging, SAM pre-training, and SAVE on composed scenes."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.losses import save_loss
from save_avs.models.save import SAVE
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.sample_streams import AudioTaggingStream, PromptStream, SceneStream, group_names
from save_avs.training.augment_image import recolor
from save_avs.training.callbacks.callback import ValidationImage
from save_avs.training.callbacks.validation_images import make_validation_images
from save_avs.training.collate import (
    AudioTaggingBatch,
    PromptBatch,
    SceneBatch,
    collate_audio,
    collate_prompts,
    collate_scenes,
)
from save_avs.training.stage_config import SyntheticStage
from save_avs.training.stage_schedule import StageSchedule, synthetic_schedule

VALIDATION_SEED = 777_000  # added to a stage's
IOU_PREDICTION_WEIGHT = 0.1


class Normalizer(NamedTuple):
    """What loss terms are divided by: the number of frames (or sounds), and that of the annotated ones."""

    frames: float
    annotated: float


class Task:
    """A model with its data, loss and validation metrics: the base class of all tasks."""

    modules: nn.ModuleDict  # the model, as ``model``, and any auxiliary head
    stream: Any  # training items; item i depends on the seed and i alone
    val_stream: Any  # validation items
    collate: Callable[[Any], Any]  # items to a batch
    schedule: StageSchedule  # how many of them, and when

    def normalizer(self, batch: Any) -> Normalizer:
        """Count the frames of a batch, and the annotated ones."""
        return Normalizer(len(batch.clips.images), float(batch.clips.has_mask.sum()))

    def loss(self, batch: Any, total: Normalizer) -> dict[str, Tensor]:
        """Return the loss terms of a batch, ``loss`` being the one to differentiate.

        Each is a sum over frames, divided by ``total``: the frames of the whole step, of which the batch may
        be a part.
        """
        raise NotImplementedError

    def metrics(self, batch: Any) -> Mapping[str, Tensor]:
        """Return validation metrics, one row per frame: [B], or [B,classes]; NaN where one does not apply."""
        raise NotImplementedError

    def images(self, batch: Any) -> list[ValidationImage]:
        """Return the frames of a validation batch with their masks; empty for tasks without masks."""
        return []


def mask_terms(logits: Tensor, masks: Tensor, has_mask: Tensor, total: Normalizer) -> dict[str, Tensor]:
    """Return the loss of masks [B,1,M,M] and its parts, by name."""
    mask = save_loss(logits, masks, has_mask, total.annotated)
    return {"loss": mask.total, "bce": mask.bce, "iou": mask.iou}


def audio_tagging_loss(logits: Tensor, targets: Tensor, total: Normalizer) -> Tensor:
    """Return the binary cross-entropy of which classes sound, [B,K], a sum over them, mean over sounds."""
    return F.binary_cross_entropy_with_logits(logits.float(), targets, reduction="sum") / total.frames


class AudioTaggingTask(Task):
    """Trains the audio backbone to tell which classes sound in a mixture."""

    collate = staticmethod(collate_audio)

    def __init__(self, model: SAVE, stage: SyntheticStage, root: Any, size: int) -> None:
        corpus, options = Corpus.load(root, "train"), stage.scenes.options()
        self.schedule = synthetic_schedule(stage, 1)
        self.stream = AudioTaggingStream(corpus, options, stage.seed, model.frontend)
        self.val_stream = AudioTaggingStream(corpus, options, stage.seed + VALIDATION_SEED, model.frontend)
        self.modules = nn.ModuleDict({"model": model})
        self.model = model

    def normalizer(self, batch: AudioTaggingBatch) -> Normalizer:
        """Count the sounds; all are annotated."""
        return Normalizer(len(batch.targets), len(batch.targets))

    def loss(self, batch: AudioTaggingBatch, total: Normalizer) -> dict[str, Tensor]:
        """Return the binary cross-entropy, summed over classes."""
        return {"loss": audio_tagging_loss(self.model.classify_audio(batch.log_mel), batch.targets, total)}

    def metrics(self, batch: AudioTaggingBatch) -> dict[str, Tensor]:
        """Return whether all classes are right, and F1."""
        pred = self.model.classify_audio(batch.log_mel) > 0
        target = batch.targets > 0.5
        hits = (pred & target).sum(1).float()
        f1 = (2 * hits + 1e-9) / ((pred.sum(1) + target.sum(1)).float() + 1e-9)
        return {"exact": (pred == target).all(1).float(), "f1": f1}


def semantic_aux_head(model: SAVE, corpus: Corpus) -> nn.Conv2d:
    """Return a linear head that classifies each cell of the embedding: background, or a group of cutouts.

    It stands in for the large-scale pre-training that gives the published SAM its semantics, and is dropped
    after the stage.
    """
    return nn.Conv2d(model.sam.image_encoder.out_chans, 1 + len(group_names(corpus)), 1)


def semantic_aux_loss(logits: Tensor, groups: Tensor, total: Normalizer) -> Tensor:
    """Return the cross-entropy, mean over a frame's cells: logits [B,K,h,w], groups int64 [B,h,w]."""
    cells = F.cross_entropy(logits.float(), groups, reduction="none")
    return cells.flatten(1).mean(1).sum() / total.frames


class PromptSegmentationTask(Task):
    """Trains SAM to segment the object at a point or in a box, and to predict the IoU of its mask."""

    collate = staticmethod(collate_prompts)

    def __init__(self, model: SAVE, stage: SyntheticStage, root: Any, size: int) -> None:
        corpus, options = Corpus.load(root, "train", promptable=True), stage.scenes.options()
        self.schedule = synthetic_schedule(stage, 1)
        self.stream = PromptStream(corpus, options, size, stage.seed)
        self.val_stream = PromptStream(corpus, options, size, stage.seed + VALIDATION_SEED)
        self.head = semantic_aux_head(model, corpus)
        self.modules = nn.ModuleDict({"model": model, "head": self.head})
        self.model, self.sam, self.semantic_aux_weight = model, model.sam, stage.semantic_aux_weight

    def _segment(self, batch: PromptBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the image embedding [B,C,h,w], mask logits [B,1,M,M] and predicted IoU [B,1]."""
        embedding = self.model.encode_image(batch.images)
        prompts = self.sam.prompt_encoder
        label = torch.ones(len(batch.point), 1, device=embedding.device)
        by_point, _ = prompts(points=(batch.point[:, None], label))
        by_box, _ = prompts(boxes=batch.box)
        # both are two tokens: a point is padded by a second one
        sparse = torch.where(batch.by_box[:, None, None], by_box, by_point)
        dense = prompts.no_mask_dense(len(embedding))
        return embedding, *self.sam.mask_decoder(embedding, prompts.get_dense_pe(), sparse, dense, False)

    def normalizer(self, batch: PromptBatch) -> Normalizer:
        """Count the images; all are annotated."""
        return Normalizer(len(batch.images), len(batch.images))

    def loss(self, batch: PromptBatch, total: Normalizer) -> dict[str, Tensor]:
        """Return the loss of the mask, of its predicted IoU, and of the cells' groups."""
        embedding, logits, iou = self._segment(batch)
        every = torch.ones(len(logits), dtype=torch.bool, device=logits.device)
        terms = mask_terms(logits, batch.masks, every, total)
        iou_error = F.mse_loss(iou.float()[:, 0], _ious(logits, batch.masks), reduction="sum") / total.frames
        aux = semantic_aux_loss(self.head(embedding), batch.groups, total)
        loss = terms["loss"] + IOU_PREDICTION_WEIGHT * iou_error + self.semantic_aux_weight * aux
        return {**terms, "loss": loss, "semantic_aux": aux}

    def metrics(self, batch: PromptBatch) -> dict[str, Tensor]:
        """Return the IoU of the masks, and the accuracy of the objects' cells."""
        embedding, logits, _ = self._segment(batch)
        right = self.head(embedding).argmax(1) == batch.groups
        objects = batch.groups > 0
        accuracy = (right & objects).flatten(1).sum(1) / objects.flatten(1).sum(1).clamp(min=1)
        return {"miou": _ious(logits, batch.masks), "semantic_accuracy": accuracy}

    def images(self, batch: PromptBatch) -> list[ValidationImage]:
        """Return the images, named after their prompts."""
        _, logits, _ = self._segment(batch)
        names = [f"{'point' if k < len(logits) // 2 else 'box'} {k + 1}" for k in range(len(logits))]
        return make_validation_images(batch.images, logits, batch.masks, names)


class SyntheticAVSTask(Task):
    """Trains SAVE to segment the sounding objects of composed scenes."""

    collate = staticmethod(collate_scenes)

    def __init__(self, model: SAVE, stage: SyntheticStage, root: Any, size: int) -> None:
        corpus, options = Corpus.load(root, "train"), stage.scenes.options()
        seed, frontend = stage.seed, model.frontend
        self.schedule = synthetic_schedule(stage, stage.views)
        self.stream = SceneStream(corpus, options, size, stage.views, seed, frontend)
        self.val_stream = SceneStream(
            Corpus.load(root, "val"), options, size, stage.views, seed + VALIDATION_SEED, frontend
        )
        self.modules = nn.ModuleDict({"model": model})
        self.model, self.semantic_aux_weight = model, stage.semantic_aux_weight
        self.audio_aux_weight, self.recolor_prob = stage.audio_aux_weight, stage.recolor_prob
        if model.stem is not None:
            model.stem.dropout = stage.stem_dropout
        if self.semantic_aux_weight:
            self.modules["head"] = semantic_aux_head(model, corpus)

    def loss(self, batch: SceneBatch, total: Normalizer) -> dict[str, Tensor]:
        """Return the loss of the mask, and those of cells and sounds where the recipe weights them."""
        clips = batch.clips
        features = self.model.audio_backbone(clips.log_mel)
        recolored = recolor(clips.images, self.recolor_prob) if self.recolor_prob else None
        embedding, prompt = self.model.encode(clips.images, clips.log_mel, features, recolored)
        logits = self.model.decode(embedding, prompt)
        terms = mask_terms(logits, clips.masks, clips.has_mask, total)
        if self.semantic_aux_weight:
            aux = semantic_aux_loss(self.modules["head"](embedding), batch.groups, total)
            terms |= {"loss": terms["loss"] + self.semantic_aux_weight * aux, "semantic_aux": aux}
        if self.audio_aux_weight and self.model.audio_classifier is not None:
            aux = audio_tagging_loss(self.model.audio_classifier(features), batch.sounds, total)
            terms |= {"loss": terms["loss"] + self.audio_aux_weight * aux, "audio_aux": aux}
        return terms

    def metrics(self, batch: SceneBatch) -> dict[str, Tensor]:
        """Return the IoU of frames with a sounding object, and the masked fraction of frames without one."""
        clips = batch.clips
        logits = self.model(clips.images, clips.log_mel)
        sounding = clips.masks.flatten(1).amax(1) > 0.5
        masked = (logits > 0).flatten(1).float().mean(1)
        nan = torch.tensor(float("nan"))
        return {
            "miou": torch.where(sounding, _ious(logits, clips.masks), nan),
            "masked_when_silent": torch.where(sounding, nan, masked),
        }

    def images(self, batch: SceneBatch) -> list[ValidationImage]:
        """Return the scenes, each once per sound."""
        clips = batch.clips
        logits = self.model(clips.images, clips.log_mel)
        return make_validation_images(clips.images, logits, clips.masks, clips.names)


def _ious(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the IoU of each thresholded mask with its target, at the decoder's size, [B]."""
    pred, target = (logits > 0).flatten(1), (masks > 0.5).flatten(1)
    return ((pred & target).sum(1).float() + 1e-7) / ((pred | target).sum(1).float() + 1e-7)


TASKS = {
    "audio-tagging": AudioTaggingTask,
    "sam-pretraining": PromptSegmentationTask,
    "synthetic-avs": SyntheticAVSTask,
}
