"""A recipe: the model, and the stages that train it one after another; one YAML file under ``configs/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from save_avs.data.scene import SceneOptions
from save_avs.errors import UsageError
from save_avs.model.config import SaveConfig


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SceneConfig(_Strict):
    """How training scenes are drawn; see ``save_avs.data.scene.SceneOptions``."""

    things: tuple[int, int] = (1, 4)
    size: tuple[float, float] = (0.3, 0.85)
    sources: tuple[float, float, float] = (0.12, 0.5, 0.38)
    off_screen: float = Field(default=0.6, ge=0, le=1)
    silent_share: float = Field(default=0.35, ge=0, le=1)
    textures: float = Field(default=0.2, ge=0, le=1)
    patchwork: float = Field(default=0.0, ge=0, le=1)

    def options(self) -> SceneOptions:
        """As the composer takes them, augmented."""
        return SceneOptions(**self.model_dump(), augment=True)


class Stage(_Strict):
    """One stage of training.

    Attributes:
        name: of its folder.
        task: ``sounds`` teaches the audio backbone to name what it hears; ``things`` teaches SAM to segment
            what a point or a box names; ``scenes`` teaches SAVE to segment what sounds.
        start: whose weights it begins with: an earlier stage, a bundled model or a model folder; None
            begins from fresh ones.
        train: names of the parts that are trained (see ``freeze_except``); the rest stands still.
        image_size: pixels; the model's own when None.
        steps: optimiser steps.
        batch: frames a step.
        lr: peak learning rate, reached after ``warmup`` steps, then cosine to a hundredth.
        optimizer: ``muon`` takes Muon for the matrices of the encoder's blocks and AdamW for the rest.
        views: sounds that each composed picture is heard with.
        naming: weight of the auxiliary loss that names what each cell shows (``things`` and ``scenes``).
        ema: decay of the moving average of the trained weights, which is what is kept.
    """

    name: str
    task: Literal["sounds", "things", "scenes"]
    start: str | None = None
    train: tuple[str, ...]
    image_size: int | None = Field(default=None, gt=0)
    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    lr: float = Field(gt=0)
    optimizer: Literal["adamw", "muon"] = "adamw"
    warmup: int = Field(default=200, ge=0)
    weight_decay: float = Field(default=0.05, ge=0)
    clip: float = Field(default=1.0, gt=0)
    ema: float = Field(default=0.999, ge=0, lt=1)
    views: int = Field(default=2, gt=0)
    naming: float = Field(default=0.5, ge=0)
    seed: int = 0
    validate_every: int = Field(default=1000, gt=0)
    validate_on: int = Field(default=200, gt=0)
    scenes: SceneConfig = SceneConfig()


class Recipe(_Strict):
    """Everything a training run needs.

    Attributes:
        corpus: folder made by ``save-avs data stamps``, or one of your own in its layout.
        out: run folder; each stage gets a folder in it.
        precision: ``bf16`` trains under automatic mixed precision.
        device: ``auto`` takes a GPU where there is one.
        workers: processes that compose.
        checkpoint_s: seconds between checkpoints.
    """

    model: SaveConfig
    corpus: Path
    out: Path
    precision: Literal["fp32", "bf16"] = "bf16"
    device: str = "auto"
    workers: int = Field(default=1, ge=0)
    checkpoint_s: float = Field(default=120.0, gt=0)
    stages: tuple[Stage, ...]


def load_recipe(path: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Read a YAML recipe and apply ``key=value`` overrides (``stages.0.steps=10``).

    Raises:
        UsageError: on a missing file, a key that no recipe has, or a value out of range: one line each.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such recipe")
    try:
        config = OmegaConf.load(path)
        for override in overrides or []:
            key, found, value = override.partition("=")
            if not found:
                raise UsageError(f"'{override}' is no override: write key=value, as in stages.0.steps=10")
            OmegaConf.update(config, key, OmegaConf.create(f"value: {value}").value, force_add=False)
        raw: Any = OmegaConf.to_container(config, resolve=True)
        return Recipe.model_validate(raw)
    except ValidationError as error:
        problem = error.errors()[0]
        raise UsageError(f"{path}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {str(error).splitlines()[0]}") from error
