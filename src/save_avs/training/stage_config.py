"""Stage configs of a recipe: what is trained, on which data, for how long. Stages differ by their task."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from save_avs.synthesis.scene import SceneOptions


class StrictModel(BaseModel):
    """A part of a recipe: unknown keys are refused, and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SceneConfig(StrictModel):
    """How training scenes are composed; see ``save_avs.synthesis.scene.SceneOptions``."""

    num_objects: tuple[int, int] = (1, 4)
    object_size: tuple[float, float] = (0.3, 0.85)
    source_count_probs: tuple[float, float, float] = (0.12, 0.5, 0.38)
    off_screen_prob: float = Field(default=0.6, ge=0, le=1)
    silent_object_prob: float = Field(default=0.35, ge=0, le=1)
    texture_prob: float = Field(default=0.2, ge=0, le=1)
    patchwork_prob: float = Field(default=0.0, ge=0, le=1)
    camera_prob: float = Field(default=0.0, ge=0, le=1)
    lighting_prob: float = Field(default=0.0, ge=0, le=1)
    room_prob: float = Field(default=0.0, ge=0, le=1)
    beneath_prob: float = Field(default=0.0, ge=0, le=1)

    def options(self) -> SceneOptions:
        """Return the options of the scene composer, with augmentation."""
        return SceneOptions(**self.model_dump(), augment=True)


class StageBase(StrictModel):
    """Settings that every stage has."""

    name: str  # of its folder
    # initial weights: an earlier stage, a bundled model or a model folder; None starts from random ones, or
    # from the recipe's ``pretrained``
    init_from: str | None = None
    # initial weights of the audio backbone and its classifier alone, instead of those
    audio_from: str | None = None
    # modules that keep their initial weights instead, by dotted name, such as ``audio_adapter``
    reset: tuple[str, ...] = ()
    # names of the modules that are trained (see ``freeze_except``); all others are frozen
    trainable: tuple[str, ...]
    image_size: int | None = Field(default=None, gt=0)  # pixels; the model's own when None
    # peak learning rate, reached after ``warmup_steps``, then cosine decay to ``min_lr``
    lr: float = Field(gt=0)
    # learning rate of the last step; a hundredth of the peak when None
    min_lr: float | None = Field(default=None, ge=0)
    # ``muon`` uses Muon for the matrices of the encoder's blocks and AdamW for the rest
    optimizer: Literal["adamw", "muon"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.98)  # of AdamW
    warmup_steps: int = Field(default=200, ge=0)
    weight_decay: float = Field(default=0.05, ge=0)
    grad_clip_norm: float = Field(default=1.0, gt=0)  # largest norm of the gradient
    # micro-batches per step and process. Whatever it is, and however many processes there are, a step has the
    # same frames and the same loss.
    grad_accum_steps: int = Field(default=1, gt=0)
    # decay of the moving average of the trained weights, which is what is saved; 0 turns it off
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    # keep only the input of each block of the image encoder and recompute the rest in the backward pass: less
    # memory, more time, the same results
    activation_checkpointing: bool = False
    seed: int = 0  # of the data order, the augmentation and the initial weights

    @property
    def monitor(self) -> str | None:
        """The validation metric whose highest value selects the weights; None selects the last ones."""
        return None

    @property
    def min_lr_ratio(self) -> float:
        """The learning rate of the last step over the peak."""
        return 0.01 if self.min_lr is None else self.min_lr / self.lr


class SyntheticStage(StageBase):
    """A stage on scenes composed on the fly."""

    # ``audio-tagging`` trains the audio backbone to classify sounds; ``sam-pretraining`` trains SAM to
    # segment the object at a point or in a box; ``synthetic-avs`` trains SAVE to segment sounding objects
    task: Literal["audio-tagging", "sam-pretraining", "synthetic-avs"]
    steps: int = Field(gt=0)  # optimizer steps
    batch_size: int = Field(gt=0)  # frames per step
    views: int = Field(default=2, gt=0)  # sounds that each composed image is paired with
    # weight of the auxiliary loss that classifies each cell of the image embedding (``sam-pretraining`` and
    # ``synthetic-avs``)
    semantic_aux_weight: float = Field(default=0.5, ge=0)
    # weight of the auxiliary loss that names the sounds of a frame, in view or not (``synthetic-avs``); it
    # pays where the audio backbone is trained
    audio_aux_weight: float = Field(default=0.0, ge=0)
    # probabilities, for each frame, that SAM's own patches see it in random colors, and that it goes without
    # each of the stem's two finer maps (``synthetic-avs``): what an object is must then be told by the
    # stem's published classifier, not from the few appearances in the corpus
    recolor_prob: float = Field(default=0.0, ge=0, le=1)
    stem_dropout: float = Field(default=0.0, ge=0, le=1)
    validate_every: int = Field(default=1000, gt=0)  # steps between validations
    val_samples: int = Field(default=200, gt=0)  # scenes per validation
    scenes: SceneConfig = SceneConfig()

    @model_validator(mode="after")
    def _no_empty_micro_batch(self) -> Self:
        views = self.views if self.task == "synthetic-avs" else 1
        _check_micro_batches(self.grad_accum_steps, max(1, self.batch_size // views))
        return self


def _check_micro_batches(count: int, items: int) -> None:
    if count > items:
        raise ValueError(f"grad_accum_steps: {count} micro-batches need at least as many items, not {items}")


class DatasetConfig(StrictModel):
    """A data set of clips."""

    name: str  # as ``save_avs.datasets.open_dataset`` knows it: s4, ms3, ...
    root: str | Path  # folder or URL of the unpacked archives, or of shards
    # folder made by ``save-avs data features``; None runs the audio backbone in each step
    features: Path | None = None


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the lower value comes first")
    return pair


Zoom = Annotated[float, Field(ge=0.25, le=4)]  # at 0.25 a frame is padded to sixteen times its pixels
Decibels = Annotated[float, Field(ge=-60, le=60)]
ZoomRange = Annotated[tuple[Zoom, Zoom], AfterValidator(_ascending)]
DecibelRange = Annotated[tuple[Decibels, Decibels], AfterValidator(_ascending)]


class AugmentConfig(StrictModel):
    """Augmentation of training clips. All of it is off by default: the paper mentions none.

    What is drawn depends on the stage's seed and the clip's place in the training order, and all frames of a
    clip share it. Masks and labels follow the images; they do not change with the sound.
    """

    flip: float = Field(default=0.0, ge=0, le=1)  # probability of a horizontal flip
    # range of the zoom. Above 1 a part of the frame is shown, below 1 the frame is padded.
    scale: ZoomRange = (1.0, 1.0)
    # smallest share of each side that is kept; the two sides are drawn independently
    crop: float = Field(default=1.0, gt=0, le=1)
    # brightness, contrast and saturation are each multiplied by 1 - color to 1 + color
    color: float = Field(default=0.0, ge=0, le=1)
    gain_db: float = Field(default=0.0, ge=0, le=60)  # largest gain, up or down
    shift_s: float = Field(default=0.0, ge=0)  # largest shift of the sound in time, in either direction
    noise_db: DecibelRange | None = None  # range of the signal-to-noise ratio of white noise; None adds none
    # probability of mixing in another clip of the split as a distractor
    mix: float = Field(default=0.0, ge=0, le=1)
    mix_db: DecibelRange = (0.0, 12.0)  # range of the signal-to-noise ratio of that clip

    @property
    def audio_fields(self) -> tuple[str, ...]:
        """The fields that are on and change the sound."""
        fields = ("gain_db", "shift_s", "noise_db", "mix")
        return tuple(name for name in fields if getattr(self, name) not in {0, None})


LossSize = Literal["logits", "input"]


class ClipStage(StageBase):
    """A stage on a data set of clips: split ``train`` is learned, ``val`` selects the weights."""

    task: Literal["avs"]
    data: DatasetConfig  # which data set
    # epochs, steps: how long; one of the two. In an epoch every clip (or annotated frame) comes once.
    epochs: int | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, gt=0)
    batch_size: int | None = Field(default=None, gt=0)  # clips per step, each with all its annotated frames
    # instead, annotated frames per step, each drawn by itself from any clip, as in SAMA-AVS
    batch_frames: int | None = Field(default=None, gt=0)
    # where the mask's loss compares: ``logits`` at the decoder's size, a quarter of the input's, with the
    # truth as the marked share of each cell; ``input`` at the input's size, the logits enlarged, the truth
    # its nearest pixels, as SAMA-AVS does
    loss_size: LossSize = "logits"
    trainable: tuple[str, ...] = ("adapter", "audio_adapter", "mask_decoder")
    betas: tuple[float, float] = (0.9, 0.999)
    warmup_steps: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    augment: AugmentConfig = AugmentConfig()  # of the training clips
    center_crop: bool = False  # train on the middle square of each frame, as AVSS's official loader does
    # weight of the cross-entropy over the data set's classes; above 0 the model gets a semantic head, and the
    # mean IoU over classes is monitored instead of the masks' mean IoU
    semantic_weight: float = Field(default=0.0, ge=0)
    validate_every_epochs: int = Field(default=1, gt=0)  # epochs between validations
    val_samples: int | None = Field(default=None, gt=0)  # clips per validation; all when None
    # validations in a row without a better metric after which the stage ends early
    patience: int | None = Field(default=None, gt=0)

    @property
    def monitor(self) -> str | None:
        """The masks' mean IoU, or the classes' for a semantic stage."""
        return "class_miou" if self.semantic_weight else "miou"

    @property
    def items_per_step(self) -> int:
        """Clips, or frames, per step."""
        return self.batch_size or self.batch_frames or 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("set either epochs or steps")
        if (self.batch_size is None) == (self.batch_frames is None):
            raise ValueError("set either batch_size (clips) or batch_frames, and the other to null")
        _check_micro_batches(self.grad_accum_steps, self.items_per_step)
        if self.data.features is not None and self.augment.audio_fields:
            raise ValueError(
                f"augment.{self.augment.audio_fields[0]} changes the sound, but data.features were computed "
                "from the unchanged sound: remove one of them"
            )
        return self


Stage = Annotated[SyntheticStage | ClipStage, Field(discriminator="task")]
TASK_NAMES = ("audio-tagging", "sam-pretraining", "synthetic-avs", "avs")
