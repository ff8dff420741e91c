"""A model folder: ``config.json`` + ``model.safetensors``, written and read."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from save_avs.checkpoints.load import strict_load
from save_avs.checkpoints.safe import read_weights
from save_avs.errors import UsageError
from save_avs.media.atomic import aside, atomic_write
from save_avs.model.build import build_save, sam_shape
from save_avs.model.config import SaveConfig
from save_avs.model.save import SAVE
from save_avs.sam.load import resample_positions

CONFIG, WEIGHTS = "config.json", "model.safetensors"
ADAPTERS = (".adapter.", "audio_adapter.")  # what a checkpoint from an earlier stage may lack


def save_folder(
    model: SAVE, config: SaveConfig, folder: str | Path, *, dtype: torch.dtype = torch.float32
) -> Path:
    """Write a model folder; each file appears whole or not at all."""
    folder = Path(folder)
    atomic_write(folder / CONFIG, config.model_dump_json(indent=2) + "\n")
    state = {
        k: v.detach().cpu().to(dtype if v.is_floating_point() else v.dtype).contiguous()
        for k, v in model.state_dict().items()
    }
    with aside(folder / WEIGHTS) as part:
        save_file(state, part, metadata={"format": "pt"})
        part.chmod(0o644)  # safetensors makes it readable by its owner alone
    return folder


def read_config(folder: str | Path) -> SaveConfig:
    """Read a model folder's config.

    Raises:
        UsageError: when it is not there, or says what no model has.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise UsageError(f"{folder} is no model folder: it has no {CONFIG}")
    try:
        return SaveConfig.model_validate(json.loads(path.read_text()))
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {_first(error)}") from error


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors()[0]
        return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
    return str(error).splitlines()[0]


def read_folder(folder: str | Path) -> tuple[SAVE, SaveConfig]:
    """Build the model of a folder and load its weights as float32, in evaluation mode.

    Raises:
        UsageError: when the folder is no model folder.
        SaveAvsError: when the weights do not fit the config; every key that differs is named.
    """
    config = read_config(folder)
    model = build_save(config)
    strict_load(model, read_weights(Path(folder) / WEIGHTS), source=str(Path(folder) / WEIGHTS))
    return model.float().eval(), config


def continue_from(model: SAVE, config: SaveConfig, folder: str | Path) -> None:
    """Load an earlier stage's weights into ``model``, at another image size, and without adapters if need be.

    Raises:
        UsageError: when the folder is no model folder.
        SaveAvsError: when anything else differs.
    """
    before = read_config(folder)
    state = read_weights(Path(folder) / WEIGHTS)
    if before.image_size != config.image_size:
        sam = {k.removeprefix("sam."): v for k, v in state.items() if k.startswith("sam.")}
        resampled = resample_positions(sam, sam_shape(before), config.image_size)
        state |= {f"sam.{k}": v for k, v in resampled.items()}
    own = model.state_dict()
    fresh = {k: v for k, v in own.items() if k not in state and any(a in k for a in ADAPTERS)}
    strict_load(model, {**fresh, **state}, source=str(folder))
