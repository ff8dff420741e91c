"""Config of a SAVE model, as in a model folder's ``config.json``, and the full-size presets."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from save_avs.audio.frontend import Frontend
from save_avs.errors import UsageError
from save_avs.losses import UNLABELED
from save_avs.models.adapters.audio_adapters import Injection
from save_avs.models.adapters.image_adapter import Init, SpatialBranch
from save_avs.models.audio.registry import backbone_class
from save_avs.models.sam.build_sam import PRESETS as SAM_PRESETS
from save_avs.models.sam.build_sam import SamConfig
from save_avs.weights.identity import FileIdentity

FORMAT_VERSION = 1  # of config.json; rises with every new key


class _Strict(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class ImageAdapterConfig(_Strict):
    """The image encoder adapter of every block."""

    ratio: float = Field(default=0.25, gt=0, le=1)
    spatial: SpatialBranch = "full"
    init: Init = "ancestor"


class AudioAdapterConfig(_Strict):
    """The audio encoder adapter: ``residual``, the paper's chain, or ``sama``, which has no chain."""

    kind: Literal["residual", "sama"] = "residual"
    hidden: int = Field(default=512, gt=0)
    tokens: int = Field(default=1, ge=0)
    residual: bool = True
    shared: bool = True
    inject_into: Injection = "all"
    init: Init = "ancestor"

    @model_validator(mode="after")
    def _sama_has_no_chain(self) -> Self:
        shared = {"kind", "hidden", "init"}
        chain = self.model_dump(exclude=shared)
        if self.kind == "sama" and chain != AudioAdapterConfig().model_dump(exclude=shared):
            raise ValueError(
                f"kind sama takes no other option than hidden and init: remove {', '.join(chain)}"
            )
        return self


class SemanticConfig(_Strict):
    """The semantic head."""

    classes: tuple[str, ...] = Field(min_length=2, max_length=UNLABELED)  # the background first


class PretrainedRefs(_Strict):
    """The published checkpoints a model was built on; its own files hold only what differs from them."""

    sam: FileIdentity | None = None
    audio: FileIdentity | None = None
    stem: FileIdentity | None = None

    def __bool__(self) -> bool:
        return any(ref is not None for _, ref in self)


class SaveConfig(_Strict):
    """A whole SAVE. ``SaveConfig.model_validate({"preset": "save-vit-b", ...})`` starts from a preset.

    Attributes:
        format_version: of config.json; a newer one may have keys that this version does not know.
        name: its name in results.
        image_size: side of the model's square input, pixels.
        resize: how a frame becomes that square: ``squash`` ignores its aspect ratio, as the benchmarks do;
            ``pad`` keeps it and fills the rest with the mean color.
        audio: name of the audio backbone (``save_avs.models.audio.registry.BACKBONES``).
        stem: the convolutional network whose features are added to the patches; None for none.
        image_adapter: None for none.
        classes: names of the sounds that it can classify; none for no audio classifier.
        semantic: the head over the classes of a data set; None for binary masks alone.
        pretrained: the checkpoints it was built on, written when it is saved.
    """

    format_version: int = Field(default=FORMAT_VERSION, ge=1)
    name: str
    image_size: int = Field(default=256, gt=0, le=1 << 14)
    resize: Literal["squash", "pad"] = "squash"
    audio: str = "vggish"
    sam: SamConfig = SamConfig()
    stem: Literal["efficientnet-lite0"] | None = None
    image_adapter: ImageAdapterConfig | None = ImageAdapterConfig()
    audio_adapter: AudioAdapterConfig = AudioAdapterConfig()
    classes: tuple[str, ...] = ()
    semantic: SemanticConfig | None = None
    pretrained: PretrainedRefs = PretrainedRefs()

    @property
    def frontend(self) -> Frontend:
        """The front-end of the audio backbone."""
        return backbone_class(self.audio).frontend

    @classmethod
    def from_preset(cls, name: str, **changes: Any) -> Self:
        """The config of a preset, at any size: ``SaveConfig.from_preset("save-vit-b", image_size=1024)``.

        Args:
            name: save-vit-b, save-vit-l or save-vit-h.
            changes: values that replace the preset's; a nested one may be given in part.

        Raises:
            UsageError: when no preset has that name.
            pydantic.ValidationError: on an invalid value.
        """
        return cls.model_validate({"preset": name, **changes})

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, values: Any) -> Any:
        """Fill in the values of the preset that the config names, where it says nothing.

        ``{"preset": "save-vit-b", "image_adapter": {"spatial": "depthwise"}}`` is ViT-B with the ratio of the
        preset and another branch; ``"image_adapter": None`` leaves the adapters out.
        """
        if not isinstance(values, Mapping):
            return values
        changes = dict(values)
        if (name := changes.pop("preset", None)) is None:
            return changes
        if name not in PRESETS:
            raise UsageError(f"unknown preset '{name}': choose one of {', '.join(PRESETS)}")
        return _merge(PRESETS[name], changes)


def _preset(name: str, sam: str) -> dict[str, Any]:
    return {
        "name": name,
        "image_size": 256,  # the paper; it also reports 1024
        "resize": "squash",  # the benchmarks' loaders
        "audio": "vggish",  # the paper
        "sam": SAM_PRESETS[sam].model_dump(),
        # the ratio: the paper; the branch and the initialization: SAM-Med2D
        "image_adapter": {"ratio": 0.25, "spatial": "full", "init": "ancestor"},
        # a residual chain into every block: the paper; widths and the initialization: SAMA-AVS
        "audio_adapter": AudioAdapterConfig().model_dump(exclude={"kind"}),
    }


PRESETS: dict[str, dict[str, Any]] = {
    name: _preset(name, sam)
    for name, sam in (("save-vit-b", "vit_b"), ("save-vit-l", "vit_l"), ("save-vit-h", "vit_h"))
}


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in changes.items():
        previous = out.get(key)
        if isinstance(previous, Mapping) and isinstance(value, Mapping):
            out[key] = _merge(previous, value)
        else:
            out[key] = value
    return out
