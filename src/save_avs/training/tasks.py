"""What each stage learns: its data, its loss, its validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.losses import save_loss
from save_avs.models.save import SAVE
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.streams import AudioTaggingStream, PromptStream, SceneStream, group_names
from save_avs.training.callbacks.base import ValidationImage
from save_avs.training.callbacks.pictures import validation_images
from save_avs.training.collate import (
    PromptBatch,
    SceneBatch,
    SoundBatch,
    collate_scenes,
    collate_sounds,
    collate_things,
)
from save_avs.training.schedule import StageSchedule, synthetic_schedule
from save_avs.training.stage import SyntheticStage

VALIDATION_SEED = 777_000


class Normalizer(NamedTuple):
    """What loss terms are divided by: frames (or sounds), and those of them that are annotated."""

    frames: float
    annotated: float


class Task(Protocol):
    """A stage's data and loss around a model.

    Attributes:
        modules: the model, as ``model``, and any helper head.
        stream: item i of it is the i-th of the whole stage, and depends on the seed and i alone.
        validation: items of a validation.
        collate: items to a batch.
        plan: how many of them, and when.
        monitor: the validation figure whose highest value chooses the weights that are kept; None keeps
            the last ones.
    """

    modules: nn.ModuleDict
    stream: Any
    validation: Any
    collate: Callable[[Any], Any]
    plan: StageSchedule
    monitor: str | None

    def count(self, batch: Any) -> Normalizer:
        """How many frames a batch has, and how many of them are annotated."""
        ...

    def loss(self, batch: Any, whole: Normalizer) -> dict[str, Tensor]:
        """Loss terms of a batch, ``loss`` the one to differentiate: sums over frames, over ``whole``.

        ``whole`` counts the frames of the whole step, so the terms of its parts add up to those of the step.
        """
        ...

    def score(self, batch: Any) -> Mapping[str, Tensor]:
        """Validation figures, a row a frame: a number, or one a class, NaN where it does not apply."""
        ...

    def pictures(self, batch: Any) -> list[ValidationImage]:
        """The frames of a validation batch with the masks found; none where there are no masks."""
        ...


class AudioTaggingTask:
    """The audio backbone names the classes in a mixture."""

    collate = staticmethod(collate_sounds)
    monitor: str | None = None

    def __init__(self, model: SAVE, stage: SyntheticStage, root: Any, size: int) -> None:
        corpus = Corpus.load(root, "train")
        options = stage.scenes.options()
        self.plan = synthetic_schedule(stage, 1)
        self.stream = AudioTaggingStream(corpus, options, stage.seed, model.frontend)
        self.validation = AudioTaggingStream(corpus, options, stage.seed + VALIDATION_SEED, model.frontend)
        self.modules = nn.ModuleDict({"model": model})
        self.model = model

    def count(self, batch: SoundBatch) -> Normalizer:
        """Every sound is annotated."""
        return Normalizer(len(batch.targets), len(batch.targets))

    def loss(self, batch: SoundBatch, whole: Normalizer) -> dict[str, Tensor]:
        """Cross-entropy of every class, summed."""
        logits = self.model.classify_audio(batch.log_mel).float()
        total = F.binary_cross_entropy_with_logits(logits, batch.targets, reduction="sum")
        return {"loss": total / whole.frames}

    def score(self, batch: SoundBatch) -> dict[str, Tensor]:
        """Whether all names are right, and F1."""
        found = self.model.classify_audio(batch.log_mel) > 0
        truth = batch.targets > 0.5
        return {"exact": (found == truth).all(1).float(), "f1": _f1(found, truth)}

    def pictures(self, batch: SoundBatch) -> list[ValidationImage]:
        """None: a sound has no mask."""
        return []


def _f1(found: Tensor, truth: Tensor) -> Tensor:
    hits = (found & truth).sum(1).float()
    return (2 * hits + 1e-9) / ((found.sum(1) + truth.sum(1)).float() + 1e-9)


def semantic_aux_head(model: SAVE, corpus: Corpus) -> nn.Conv2d:
    """A linear head that names what each cell of the embedding shows: background, or a group of cutouts.

    It stands in for the large-scale pre-training that gives the published SAM its semantics, and is dropped
    after the stage.
    """
    return nn.Conv2d(model.sam.image_encoder.out_chans, 1 + len(group_names(corpus)), 1)


def semantic_aux_loss(logits: Tensor, groups: Tensor, whole: Normalizer) -> Tensor:
    """Cross-entropy of each cell, mean over a frame's: logits [B,K,h,w], groups int64 [B,h,w]."""
    cells = F.cross_entropy(logits.float(), groups, reduction="none")
    return cells.flatten(1).mean(1).sum() / whole.frames


class PromptSegmentationTask:
    """SAM segments the thing that a point or a box names, and rates its own mask."""

    collate = staticmethod(collate_things)
    monitor: str | None = None

    def __init__(self, model: SAVE, stage: SyntheticStage, root: Any, size: int) -> None:
        corpus = Corpus.load(root, "train", promptable=True)
        options = stage.scenes.options()
        self.plan = synthetic_schedule(stage, 1)
        self.stream = PromptStream(corpus, options, size, stage.seed)
        self.validation = PromptStream(corpus, options, size, stage.seed + VALIDATION_SEED)
        self.head = semantic_aux_head(model, corpus)
        self.modules = nn.ModuleDict({"model": model, "head": self.head})
        self.sam, self.semantic_aux_weight = model.sam, stage.semantic_aux_weight

    def _segment(self, batch: PromptBatch, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Ask by point or by box: logits [B,1,M,M] and IoU [B,1]."""
        prompts = self.sam.prompt_encoder
        label = torch.ones(len(batch.point), 1, device=embeddings.device)
        by_point, _ = prompts(points=(batch.point[:, None], label))
        by_box, _ = prompts(boxes=batch.box)
        # both are two tokens: a point is followed by one that pads it
        asked = torch.where(batch.by_box[:, None, None], by_box, by_point)
        return self.sam.mask_decoder(
            embeddings, prompts.get_dense_pe(), asked, prompts.no_mask(len(embeddings)), False
        )

    def count(self, batch: PromptBatch) -> Normalizer:
        """Every picture is annotated."""
        return Normalizer(len(batch.images), len(batch.images))

    def loss(self, batch: PromptBatch, whole: Normalizer) -> dict[str, Tensor]:
        """Mask, rating of the mask, and names of the cells."""
        embeddings = self.sam.image_encoder(self.sam.preprocess(batch.images))
        logits, quality = self._segment(batch, embeddings)
        every = torch.ones(len(logits), dtype=torch.bool, device=logits.device)
        parts = save_loss(logits, batch.masks, every, whole.annotated)
        rating = F.mse_loss(quality.float()[:, 0], _ious(logits, batch.masks), reduction="sum") / whole.frames
        naming = semantic_aux_loss(self.head(embeddings), batch.groups, whole)
        total = parts.total + 0.1 * rating + self.semantic_aux_weight * naming
        return {"loss": total, "bce": parts.bce, "iou": parts.iou, "naming": naming}

    def score(self, batch: PromptBatch) -> dict[str, Tensor]:
        """IoU of the masks, and the share of things' cells that are named right."""
        embeddings = self.sam.image_encoder(self.sam.preprocess(batch.images))
        logits, _ = self._segment(batch, embeddings)
        named = self.head(embeddings).argmax(1)
        thing = batch.groups > 0
        right = ((named == batch.groups) & thing).flatten(1).sum(1) / thing.flatten(1).sum(1).clamp(min=1)
        return {"miou": _ious(logits, batch.masks), "named": right}

    def pictures(self, batch: PromptBatch) -> list[ValidationImage]:
        """The things asked for."""
        embeddings = self.sam.image_encoder(self.sam.preprocess(batch.images))
        logits, _ = self._segment(batch, embeddings)
        names = [f"{'point' if k < len(logits) // 2 else 'box'} {k + 1}" for k in range(len(logits))]
        return validation_images(batch.images, logits, batch.masks, names)


class SyntheticAVSTask:
    """SAVE segments what sounds."""

    collate = staticmethod(collate_scenes)
    monitor: str | None = None

    def __init__(self, model: SAVE, stage: SyntheticStage, root: Any, size: int) -> None:
        options = stage.scenes.options()
        corpus = Corpus.load(root, "train")
        unseen = Corpus.load(root, "val")
        frontend, later = model.frontend, stage.seed + VALIDATION_SEED
        self.stream = SceneStream(corpus, options, size, stage.views, stage.seed, frontend)
        self.validation = SceneStream(unseen, options, size, stage.views, later, frontend)
        self.plan = synthetic_schedule(stage, stage.views)
        self.modules = nn.ModuleDict({"model": model})
        self.model, self.semantic_aux_weight = model, stage.semantic_aux_weight
        if self.semantic_aux_weight:
            self.modules["head"] = semantic_aux_head(model, corpus)

    def count(self, batch: SceneBatch) -> Normalizer:
        """Composed frames know their masks."""
        return Normalizer(len(batch.clips.images), float(batch.clips.has_mask.sum()))

    def loss(self, batch: SceneBatch, whole: Normalizer) -> dict[str, Tensor]:
        """Cross-entropy and soft IoU of the mask; names of the cells where the recipe asks for them."""
        clips = batch.clips
        embeddings, prompt = self.model.encode(clips.images, clips.log_mel)
        logits = self.model.decode(embeddings, prompt)
        parts = save_loss(logits, clips.masks, clips.has_mask, whole.annotated)
        terms = {"loss": parts.total, "bce": parts.bce, "iou": parts.iou}
        if self.semantic_aux_weight:
            terms["naming"] = semantic_aux_loss(self.modules["head"](embeddings), batch.groups, whole)
            terms["loss"] = parts.total + self.semantic_aux_weight * terms["naming"]
        return terms

    def score(self, scenes: SceneBatch) -> dict[str, Tensor]:
        """IoU where something sounds, marked share where nothing does."""
        batch = scenes.clips
        logits = self.model(batch.images, batch.log_mel)
        sounds = batch.masks.flatten(1).amax(1) > 0.5
        marked = (logits > 0).flatten(1).float().mean(1)
        nan = torch.tensor(float("nan"))
        return {
            "miou": torch.where(sounds, _ious(logits, batch.masks), nan),
            "marked_without_source": torch.where(sounds, nan, marked),
        }

    def pictures(self, scenes: SceneBatch) -> list[ValidationImage]:
        """Scenes, each as often as it is heard with other sounds."""
        batch = scenes.clips
        return validation_images(
            batch.images, self.model(batch.images, batch.log_mel), batch.masks, batch.names
        )


def _ious(logits: Tensor, masks: Tensor) -> Tensor:
    """IoU of each thresholded mask with its target, at the decoder's size, [B]."""
    found, truth = (logits > 0).flatten(1), (masks > 0.5).flatten(1)
    return ((found & truth).sum(1).float() + 1e-7) / ((found | truth).sum(1).float() + 1e-7)


TASKS = {
    "audio-tagging": AudioTaggingTask,
    "sam-pretraining": PromptSegmentationTask,
    "synthetic-avs": SyntheticAVSTask,
}
