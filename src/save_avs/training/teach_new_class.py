"""Teach a trained model one more object from a few photographs and recordings, rehearsing what it knows."""

import copy
import csv
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs._files import atomic_folder
from save_avs.errors import UsageError
from save_avs.evaluation.scenes import evaluate_scenes
from save_avs.inference.frame_folder import read_image
from save_avs.models.precision import resolve_precision
from save_avs.models.prompting import segment_prompt
from save_avs.models.save import SAVE
from save_avs.models.serialization import save_model
from save_avs.runtimes.loading import load_model, load_prompt_model
from save_avs.synthesis.corpus import BUNDLED, Corpus, find_images
from save_avs.synthesis.new_class import NewClass, NewClassStream, load_new_class, needs_mask
from save_avs.training.augment_image import recolor
from save_avs.training.callbacks.callback import Callback
from save_avs.training.collate import SceneBatch, collate_scenes
from save_avs.training.distributed import DistributedContext
from save_avs.training.recipe import TrainerOptions
from save_avs.training.stage_config import SceneConfig, SyntheticStage
from save_avs.training.stage_schedule import synthetic_schedule
from save_avs.training.tasks import VALIDATION_SEED, Normalizer, Task, mask_terms
from save_avs.training.trainer import Trainer
from save_avs.types import Bool

DEFAULT_STEPS, BATCH_SIZE = 240, 16
OLD_SCENES, OLD_SEED = 60, 2024  # of the check of the old classes
NAMING_DECAY = 1e-3  # of the squared weights of the new class's name, on standardized features
_TRAINED = ("sam", "audio_adapter", "stem.norms", "stem.proj")
_SCENES = SceneConfig(
    num_objects=(1, 3),
    object_size=(0.3, 1.1),
    source_count_probs=(0.15, 0.5, 0.35),
    patchwork_prob=0.4,
    camera_prob=0.5,
    room_prob=0.3,
    beneath_prob=0.2,
)


@dataclass(frozen=True)
class TaughtModel:
    """Result of `teach`.

    Attributes:
        folder: of the new model.
        classes: the sounds it names, the new one last.
        photos, recordings: how many it learned from.
        old_before, old_after: mean IoU on scenes of the old classes, by the teacher and by the new model.
        old_classes: the old classes that the corpus has, which these scenes show.
        seconds: of training.
    """

    folder: Path
    classes: tuple[str, ...]
    photos: int
    recordings: int
    old_before: float
    old_after: float
    old_classes: tuple[str, ...]
    seconds: float


def teach(
    name: str,
    images: str | Path,
    sounds: str | Path,
    output: str | Path,
    *,
    model: str | Path = "save-small",
    boxes: str | Path | None = None,
    prompt_model: str | Path = "sam-vit-b",
    corpus: str | Path = BUNDLED,
    steps: int = DEFAULT_STEPS,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
    on_message: Callable[[str], None] = lambda _: None,
) -> TaughtModel:
    """Teach a model a new object; a new model folder knows it and the old classes.

    Half of the frames show the new object, in photographs and in composed scenes, with exact masks. The other
    half rehearse: scenes of the corpus's classes, whose masks are those of the model before training
    (learning without forgetting). The audio backbone stays as it is, and gets one more output.

    Args:
        name: of the new class.
        images: folder of photographs with ``<name>.mask.png`` next to them or a box in ``boxes``, or of RGBA
            cutouts.
        sounds: folder of recordings of it.
        output: model folder to write.
        model: to start from: a bundled model's name or a folder.
        boxes: CSV file with columns image, x0, y0, x1, y1, for photographs without a mask.
        prompt_model: the SAM that makes masks from boxes.
        corpus: folder of cutouts, sounds and backgrounds to compose scenes from and to rehearse, or
            ``sample``, the bundled one.
        steps: of training, with 16 frames each.
        seed: of the scenes.
        device: as ``load_model`` takes it.
        overwrite: replace an existing folder.
        callbacks: receive the events of the training.
        on_message: called with a line before each part of the work.

    Raises:
        UsageError: a missing file, a name the model knows, an image without mask or box.
        MediaError, DataError: a file that cannot be read.

    Source: Li & Hoiem 2016, "Learning without forgetting", for the rehearsal's targets.
    """
    output, images = Path(output), Path(images)
    if output.exists() and not overwrite:
        raise UsageError(f"{output} already exists: name another folder, or add --overwrite")
    student = load_model(model, device=device, precision="fp32")
    if name in student.classes or not name.strip() or "/" in name:
        raise UsageError(f"'{name}': {student.name} knows that class, or it is no name: choose another")
    base, held = Corpus.load(corpus, "train"), Corpus.load(corpus, "test")
    masks = _masks_from_boxes(images, boxes, prompt_model, device) if images.is_dir() else {}
    new_class = load_new_class(name, base, images, Path(sounds), masks)
    on_message("old classes, before: composed scenes of the corpus")
    before = _old_iou(student, held)
    with atomic_folder(output, overwrite=overwrite) as part, TemporaryDirectory() as folder:
        started = time.monotonic()
        _train(student, new_class, Path(folder), steps=steps, seed=seed, callbacks=callbacks)
        seconds = time.monotonic() - started
        on_message("old classes, after")
        after = _old_iou(student, held)
        save_model(student, part)
    recordings = len(new_class.corpus.sounds[name])
    photos = len(new_class.corpus.cutouts[name])
    return TaughtModel(output, student.classes, photos, recordings, before, after, held.sounding, seconds)


def read_boxes(path: Path) -> dict[str, tuple[float, float, float, float]]:
    """Read the box of each image's name from a CSV file; a UsageError names a bad row."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    boxes = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                boxes[row["image"]] = (float(row["x0"]), float(row["y0"]), float(row["x1"]), float(row["y1"]))
            except (KeyError, TypeError, ValueError) as error:
                raise UsageError(f"{path}: give rows of image,x0,y0,x1,y1, with that header") from error
    return boxes


def _masks_from_boxes(
    images: Path, boxes: str | Path | None, prompt_model: str | Path, device: str
) -> Mapping[Path, Bool]:
    """Return the masks of photographs that have a box and no mask."""
    if boxes is None:
        return {}
    known = read_boxes(Path(boxes))
    wanted = [path for path in find_images(images) if path.name in known and needs_mask(path)]
    if missing := known.keys() - {path.name for path in find_images(images)}:
        raise UsageError(f"{boxes}: {images} has no image {min(missing)}")
    if not wanted:
        return {}
    sam = load_prompt_model(prompt_model, device=device)
    masks = {path: segment_prompt(sam, read_image(path), box=known[path.name]).mask for path in wanted}
    if empty := [path for path, mask in masks.items() if not mask.any()]:
        raise UsageError(
            f"{empty[0]}: {prompt_model} finds nothing in its box: draw {empty[0].stem}.mask.png"
        )
    return masks


def _old_iou(model: SAVE, corpus: Corpus) -> float:
    report = evaluate_scenes(model.eval(), corpus, scenes=OLD_SCENES, seed=OLD_SEED)
    return report.metrics["all"].value


def _train(
    student: SAVE, new_class: NewClass, folder: Path, *, steps: int, seed: int, callbacks: Sequence[Callback]
) -> None:
    """Train a model on the new class and on rehearsals, and let it name the class."""
    stage = SyntheticStage(
        name="new-class",
        task="synthetic-avs",
        trainable=_TRAINED if student.stem is not None else _TRAINED[:2],
        steps=steps,
        batch_size=BATCH_SIZE,
        views=2,
        lr=4e-4,  # at 1e-3 the old classes lost 0.05 in a trial
        warmup_steps=max(1, steps // 12),
        optimizer="muon",
        recolor_prob=0.5,
        stem_dropout=0.5,
        ema_decay=0.98,
        validate_every=steps,
        val_samples=32,
        seed=seed,
        scenes=_SCENES,
    )
    task = NewClassTask(student, new_class, stage)
    device = student.device
    distributed = DistributedContext(precision=resolve_precision("auto", device), device=str(device))
    options = TrainerOptions(checkpoint_interval_s=1e9)
    Trainer(task, stage, folder, distributed=distributed, options=options, callbacks=callbacks).run()
    _add_class(student, new_class.name, task.fit_naming())


@torch.no_grad()
def _add_class(model: SAVE, name: str, heard: nn.Linear) -> None:
    """Give a model's audio classifier one more class; its other outputs stay."""
    rows = [heard] if model.audio_classifier is None else [model.audio_classifier, heard]
    model.classes = (*model.classes, name)
    model.audio_classifier = nn.Linear(heard.in_features, len(model.classes))
    model.audio_classifier.weight.copy_(torch.cat([row.weight for row in rows]))
    model.audio_classifier.bias.copy_(torch.cat([row.bias for row in rows]))
    if model.config is not None:
        model.config = model.config.model_copy(update={"classes": model.classes})
    model.eval()


class NewClassTask(Task):
    """Trains SAVE on a new class with its masks, and on rehearsals with those of the model before."""

    collate = staticmethod(collate_scenes)

    def __init__(self, model: SAVE, new_class: NewClass, stage: SyntheticStage) -> None:
        options, size = stage.scenes.options(), model.image_size
        self.schedule = synthetic_schedule(stage, stage.views)
        self.stream = NewClassStream(new_class, options, size, model.frontend, stage.seed)
        self.val_stream = NewClassStream(
            new_class, options, size, model.frontend, stage.seed + VALIDATION_SEED
        )
        self.recolor_prob = stage.recolor_prob
        if model.stem is not None:
            model.stem.dropout = stage.stem_dropout
        self.teacher = copy.deepcopy(model).eval().requires_grad_(False)
        self.sounds: list[
            tuple[Tensor, Tensor]
        ] = []  # features [B,D] so far, and whether the new one is heard
        self.modules = nn.ModuleDict({"model": model})
        self.model = model

    def loss(self, batch: SceneBatch, total: Normalizer) -> dict[str, Tensor]:
        """Return the loss of the masks; the sounds are kept for `fit_naming`."""
        clips, (heard, rehearsal) = batch.clips, batch.sounds.T
        features = self.model.audio_backbone(clips.log_mel)
        recolored = recolor(clips.images, self.recolor_prob)
        logits = self.model.decode(*self.model.encode(clips.images, clips.log_mel, features, recolored))
        old = (rehearsal > 0) & (heard == 0)
        masks = clips.masks.clone()
        if old.any():
            with torch.no_grad():
                masks[old] = self.teacher(clips.images[old], clips.log_mel[old]).sigmoid().to(masks.dtype)
        self.sounds.append((features.detach().float(), heard))
        return mask_terms(logits, masks, clips.has_mask, total)

    def fit_naming(self) -> nn.Linear:
        """Fit whether the new sound is heard: a logistic regression of the features of all steps.

        The audio backbone is frozen, so that no steps of its own are needed.
        """
        features, heard = map(torch.cat, zip(*self.sounds, strict=True))
        mean, scale = features.mean(0), features.std(0) + 1e-6
        inputs = (features - mean) / scale
        fitted = nn.Linear(features.shape[1], 1).to(features.device)
        optimizer = torch.optim.LBFGS(fitted.parameters(), max_iter=200, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.binary_cross_entropy_with_logits(fitted(inputs)[:, 0], heard)
            loss = loss + NAMING_DECAY * fitted.weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        with torch.no_grad():
            fitted.weight.div_(scale)
            fitted.bias.sub_((fitted.weight * mean).sum())
        return fitted

    def metrics(self, batch: SceneBatch) -> dict[str, Tensor]:
        """Return the IoU of frames in which the new object sounds."""
        clips = batch.clips
        pred, target = self.model(clips.images, clips.log_mel) > 0, clips.masks > 0.5
        iou = (pred & target).flatten(1).sum(1) / (pred | target).flatten(1).sum(1).clamp(min=1)
        sounds = (batch.sounds[:, 0] > 0) & target.flatten(1).any(1)
        return {"miou": torch.where(sounds, iou, torch.tensor(float("nan")))}
