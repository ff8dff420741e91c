"""What a SAVE is made of, as it stands in a model folder's ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from save_avs.audio.frontend import Frontend
from save_avs.losses import UNLABELED
from save_avs.models.adapters.image import Spatial
from save_avs.models.adapters.residual_audio import Injection
from save_avs.models.audio.registry import backbone_class
from save_avs.models.presets import expand_preset
from save_avs.weights.identity import FileIdentity


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SamConfig(_Strict):
    """The sizes of the SAM inside; the defaults are ViT-B's (see ``save_avs.models.sam.SamConfig``)."""

    embed_dim: int = Field(default=768, gt=0, le=1 << 14)
    depth: int = Field(default=12, gt=0, le=1 << 10)
    num_heads: int = Field(default=12, gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    window_size: int = Field(default=14, gt=0, le=1 << 10)
    global_attn_indexes: tuple[int, ...] = (2, 5, 8, 11)
    prompt_embed_dim: int = Field(default=256, gt=0, le=1 << 14)
    decoder_mlp_dim: int = Field(default=2048, gt=0)


class ImageAdapterConfig(_Strict):
    """The image encoder adapter of every block."""

    ratio: float = Field(default=0.25, gt=0, le=1)
    spatial: Spatial = "full"


class AudioAdapterConfig(_Strict):
    """The audio encoder adapter: ``residual``, the paper's chain, or ``sama``, which has a width alone."""

    kind: Literal["residual", "sama"] = "residual"
    hidden: int = Field(default=512, gt=0)
    tokens: int = Field(default=1, ge=0)
    residual: bool = True
    shared: bool = True
    inject_into: Injection = "all"

    @model_validator(mode="after")
    def _sama_has_no_chain(self) -> Self:
        chain = self.model_dump(exclude={"kind", "hidden"})
        if self.kind == "sama" and chain != AudioAdapterConfig().model_dump(exclude={"kind", "hidden"}):
            raise ValueError(f"kind sama has no chain: leave {', '.join(chain)} as they are")
        return self


class SemanticConfig(_Strict):
    """The head that names what sounds where."""

    classes: tuple[str, ...] = Field(min_length=2, max_length=UNLABELED)  # the background first


class PretrainedRefs(_Strict):
    """The published checkpoints a model was built on; its own files hold only what differs from them."""

    sam: FileIdentity | None = None
    audio: FileIdentity | None = None

    def __bool__(self) -> bool:
        return self.sam is not None or self.audio is not None


class SaveConfig(_Strict):
    """A whole SAVE. ``SaveConfig.model_validate({"preset": "save-vit-b", ...})`` starts from a preset.

    Attributes:
        name: how it calls itself in results.
        image_size: side of the square the model sees, pixels.
        resize: how a frame becomes that square: ``squash`` ignores its proportions, as the benchmarks do;
            ``pad`` keeps them and fills the rest with the mean color.
        audio: name of the audio backbone (``save_avs.models.audio.registry.BACKBONES``).
        image_adapter: None leaves the image adapters out.
        audio_adapter: the audio path.
        classes: names of the sounds it was trained on; with them it can say what it hears.
        semantic: the head over the classes of a data set; None where the model marks, and does not name.
        base_weights: the checkpoints it stands on, written when it is saved.
    """

    name: str
    image_size: int = Field(default=256, gt=0, le=1 << 14)
    resize: Literal["squash", "pad"] = "squash"
    audio: str = "vggish"
    sam: SamConfig = SamConfig()
    image_adapter: ImageAdapterConfig | None = ImageAdapterConfig()
    audio_adapter: AudioAdapterConfig = AudioAdapterConfig()
    classes: tuple[str, ...] = ()
    semantic: SemanticConfig | None = None
    base_weights: PretrainedRefs = PretrainedRefs()

    @property
    def frontend(self) -> Frontend:
        """How a sound becomes what the audio backbone hears.

        Raises:
            UsageError: when no backbone has that name.
        """
        return backbone_class(self.audio).frontend

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, values: Any) -> Any:
        return expand_preset(values) if isinstance(values, Mapping) else values


def preset(name: str, **changes: Any) -> SaveConfig:
    """The config of a preset, at any size: ``preset("save-vit-b", image_size=1024)``.

    Args:
        name: save-vit-b, save-vit-l or save-vit-h.
        changes: values in place of the preset's; parts of a nested one will do.

    Raises:
        UsageError: when no preset has that name.
        pydantic.ValidationError: on a value that no model has.
    """
    return SaveConfig.model_validate({"preset": name, **changes})
