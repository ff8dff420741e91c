"""A stage of a recipe: what is trained, on what, for how long. Stages differ by their task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from save_avs.synthesis.scene import SceneOptions


class StrictModel(BaseModel):
    """A part of a recipe: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SceneConfig(StrictModel):
    """How training scenes are drawn; see ``save_avs.synthesis.scene.SceneOptions``."""

    num_objects: tuple[int, int] = (1, 4)
    object_size: tuple[float, float] = (0.3, 0.85)
    source_count_probs: tuple[float, float, float] = (0.12, 0.5, 0.38)
    off_screen_prob: float = Field(default=0.6, ge=0, le=1)
    silent_object_prob: float = Field(default=0.35, ge=0, le=1)
    texture_prob: float = Field(default=0.2, ge=0, le=1)
    patchwork_prob: float = Field(default=0.0, ge=0, le=1)

    def options(self) -> SceneOptions:
        """As the composer takes them, augmented."""
        return SceneOptions(**self.model_dump(), augment=True)


class StageBase(StrictModel):
    """What every stage says.

    Attributes:
        name: of its folder.
        init_from: whose weights it begins with: an earlier stage, a bundled model or a model folder; None
            begins from fresh ones, or from the recipe's bases.
        reset: parts that do not begin with those weights, as ``audio_adapter``: dotted beginnings of names.
        trainable: names of the parts that are trained (see ``freeze_except``); the rest stands still.
        image_size: pixels; the model's own when None.
        lr: peak learning rate, reached after ``warmup_steps`` steps, then cosine to ``min_lr``.
        min_lr: learning rate of the last step; a hundredth of the peak when None.
        optimizer: ``muon`` takes Muon for the matrices of the encoder's blocks and AdamW for the rest.
        betas: AdamW's.
        grad_clip_norm: largest norm of the gradient.
        grad_accum_steps: parts of a step that each process goes through one after another, to save memory; with any
            number of them, and of processes, a step has the same frames and the same loss.
        ema_decay: decay of the moving average of the trained weights, which is what is kept; 0 keeps the weights.
        activation_checkpointing: keep only the input of each block of the image encoder and compute the rest again in the
            backward pass: less memory, more time, the same results.
        seed: of the order, the draws and the fresh weights.
    """

    name: str
    init_from: str | None = None
    reset: tuple[str, ...] = ()
    trainable: tuple[str, ...]
    image_size: int | None = Field(default=None, gt=0)
    lr: float = Field(gt=0)
    min_lr: float | None = Field(default=None, ge=0)
    optimizer: Literal["adamw", "muon"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.98)
    warmup_steps: int = Field(default=200, ge=0)
    weight_decay: float = Field(default=0.05, ge=0)
    grad_clip_norm: float = Field(default=1.0, gt=0)
    grad_accum_steps: int = Field(default=1, gt=0)
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    activation_checkpointing: bool = False
    seed: int = 0

    @property
    def monitor(self) -> str | None:
        """The validation figure whose highest value chooses the weights kept; None keeps the last ones."""
        return None

    @property
    def floor(self) -> float:
        """The last step's learning rate as a share of the peak."""
        return 0.01 if self.min_lr is None else self.min_lr / self.lr


class SyntheticStage(StageBase):
    """A stage on scenes composed as they are needed.

    Attributes:
        task: ``sounds`` teaches the audio backbone to name what it hears; ``things`` teaches SAM to segment
            what a point or a box names; ``scenes`` teaches SAVE to segment what sounds.
        steps: optimizer steps.
        batch_size: frames a step.
        views: sounds that each composed picture is heard with.
        semantic_aux_weight: weight of the auxiliary loss that names what each cell shows (``things`` and ``scenes``).
        validate_every: steps between validations.
        val_samples: scenes of a validation.
    """

    task: Literal["audio-tagging", "sam-pretraining", "synthetic-avs"]
    steps: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    views: int = Field(default=2, gt=0)
    semantic_aux_weight: float = Field(default=0.5, ge=0)
    validate_every: int = Field(default=1000, gt=0)
    val_samples: int = Field(default=200, gt=0)
    scenes: SceneConfig = SceneConfig()

    @model_validator(mode="after")
    def _no_empty_part(self) -> Self:
        views = self.views if self.task == "synthetic-avs" else 1
        check_parts(self.grad_accum_steps, max(1, self.batch_size // views), "batch_size")
        return self


def check_parts(parts: int, items: int, batch_size: str) -> None:
    """See that every part of a step has something in it.

    Raises:
        ValueError: when it has not.
    """
    if parts > items:
        raise ValueError(
            f"grad_accum_steps: {parts} parts of {items} items; at most as many as {batch_size} has"
        )


class DataConfig(StrictModel):
    """A data set of clips.

    Attributes:
        name: as ``save_avs.datasets.open_dataset`` knows it: s4, ms3, ...
        root: the folder into which its archives were unpacked.
        features: the folder that ``save-avs data features`` filled; None asks the backbone at each step.
    """

    name: str
    root: Path
    features: Path | None = None


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the lower one comes first")
    return pair


Zoom = Annotated[float, Field(ge=0.25, le=4)]  # at 0.25 a picture is padded to sixteen times its pixels
Decibels = Annotated[float, Field(ge=-60, le=60)]
Zooms = Annotated[tuple[Zoom, Zoom], AfterValidator(_ascending)]
Ratios = Annotated[tuple[Decibels, Decibels], AfterValidator(_ascending)]


class AugmentConfig(StrictModel):
    """How training clips are changed. All is off unless it is asked for: the paper names nothing of it.

    What is drawn depends on the stage's seed and the clip's place among all that are trained on, and all
    frames of a clip share it. Masks and labels follow the pictures; they do not change with the sound.

    Attributes:
        flip: share of clips that are mirrored.
        scale: how much a picture is enlarged, from and to. Above 1 a part of it is shown, below 1 it lies
            in a larger one.
        crop: smallest share of each side that is shown; the two sides are drawn apart.
        color: brightness, contrast and saturation are each multiplied by 1 - color to 1 + color.
        gain_db: the sound gets louder or softer by up to this.
        shift_s: the sound is moved by up to so many seconds, earlier or later.
        noise_db: white noise lies so far below the sound, from and to; None adds none.
        mix: share of clips that another clip of the split is heard in, as a distractor.
        mix_db: how far below the clip's own sound that one lies, from and to.
    """

    flip: float = Field(default=0.0, ge=0, le=1)
    scale: Zooms = (1.0, 1.0)
    crop: float = Field(default=1.0, gt=0, le=1)
    color: float = Field(default=0.0, ge=0, le=1)
    gain_db: float = Field(default=0.0, ge=0, le=60)
    shift_s: float = Field(default=0.0, ge=0)
    noise_db: Ratios | None = None
    mix: float = Field(default=0.0, ge=0, le=1)
    mix_db: Ratios = (0.0, 12.0)

    @property
    def of_sound(self) -> tuple[str, ...]:
        """The fields that are on and change the sound."""
        return tuple(
            name for name in ("gain_db", "shift_s", "noise_db", "mix") if getattr(self, name) not in {0, None}
        )


class ClipStage(StageBase):
    """A stage on a data set of clips: ``train`` is learned, ``val`` chooses the weights that are kept.

    Attributes:
        data: which.
        epochs, steps: how long; one of them. In an epoch every clip comes once.
        batch_size: clips a step, each with all its annotated frames.
        augment: how clips are changed while they are learned.
        center_crop: train on the middle square of each frame, as AVSS's official loader does.
        semantic_weight: weight of the cross-entropy over the data set's classes; above 0 the model gets a semantic
            head, and the mean IoU over classes chooses instead of the masks' mean IoU.
        validate_every_epochs: epochs between validations.
        val_samples: clips of a validation; all when None.
        patience: validations in a row without a better figure, after which the stage ends early.
    """

    task: Literal["avs"]
    data: DataConfig
    epochs: int | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, gt=0)
    batch_size: int = Field(gt=0)
    trainable: tuple[str, ...] = ("adapter", "audio_adapter", "mask_decoder")
    betas: tuple[float, float] = (0.9, 0.999)
    warmup_steps: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    augment: AugmentConfig = AugmentConfig()
    center_crop: bool = False
    semantic_weight: float = Field(default=0.0, ge=0)
    validate_every_epochs: int = Field(default=1, gt=0)
    val_samples: int | None = Field(default=None, gt=0)
    patience: int | None = Field(default=None, gt=0)

    @property
    def monitor(self) -> str | None:
        """The masks' mean IoU, or the classes' where it names them."""
        return "class_miou" if self.semantic_weight else "miou"

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give either epochs or steps")
        check_parts(self.grad_accum_steps, self.batch_size, "batch_size")
        return self

    @model_validator(mode="after")
    def _sound_is_heard(self) -> Self:
        if self.data.features is not None and self.augment.of_sound:
            raise ValueError(
                f"augment.{self.augment.of_sound[0]} changes the sound, but data.features were computed of "
                "the sound as it is: leave out one of them"
            )
        return self


Stage = Annotated[SyntheticStage | ClipStage, Field(discriminator="task")]
TASK_NAMES = ("audio-tagging", "sam-pretraining", "synthetic-avs", "avs")
