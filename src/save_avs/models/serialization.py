"""A model folder: ``config.json``, ``model.safetensors`` and a model card, written and read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from save_avs._files import atomic_path, atomic_write
from save_avs.errors import SaveAvsError, UsageError, first_problem
from save_avs.models.build import build_save, sam_shape
from save_avs.models.config import PretrainedRefs, SaveConfig
from save_avs.models.model_card import model_card
from save_avs.models.pretrained_delta import BaseWeightPaths, find_base_weights
from save_avs.models.sam.load import resample_positions
from save_avs.models.save import SAVE
from save_avs.weights.state_dict import read_state_dict, strict_load

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
ADDED = (".adapter.", "audio_adapter.", "semantic.")  # what a checkpoint from an earlier stage may lack


def save_model(
    model: SAVE, config: SaveConfig, folder: str | Path, *, dtype: torch.dtype = torch.float32
) -> Path:
    """Write a model folder in the Hugging Face shape; each file appears whole or not at all.

    Of a model that stands on published checkpoints only what is not theirs is written (what was trained, and
    what never was theirs), and config.json names them. A README.md that is there already stays: it may be
    written by hand.

    Raises:
        UsageError: when the model computes in bfloat16: its weights are rounded already.
    """
    if model.precision == "bf16":
        raise UsageError(f"{model.name} holds rounded weights: load it with precision='fp32' to save it")
    folder = Path(folder)
    base = model.base
    config = config.model_copy(
        update={"base_weights": PretrainedRefs() if base is None else base.base_weights}
    )
    own = model.state_dict() if base is None else base.without(model.state_dict())
    state = {
        k: v.detach().cpu().to(dtype if v.is_floating_point() else v.dtype).contiguous()
        for k, v in own.items()
    }
    atomic_write(folder / CONFIG, config.model_dump_json(indent=2) + "\n")
    with atomic_path(folder / WEIGHTS) as part:
        save_file(state, part, metadata={"format": "pt"})
        part.chmod(0o644)  # safetensors makes it readable by its owner alone
    if not (folder / CARD).exists():
        atomic_write(folder / CARD, model_card(config, sum(v.numel() for v in state.values())))
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
    except (ValidationError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {_first(error)}") from error


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return first_problem(error)
    return str(error).splitlines()[0]


def load_folder(folder: str | Path, *, base: BaseWeightPaths = None) -> tuple[SAVE, SaveConfig]:
    """Build the model of a folder and load its weights as float32, in evaluation mode.

    Args:
        folder: with config.json and model.safetensors.
        base: where the checkpoints it stands on may lie (files, folders), beside the cache.

    Raises:
        UsageError: when the folder is no model folder, or a base is not here; the line says how to fetch it.
        SaveAvsError: when a base is another file than the model was trained on, or the weights do not fit
            the config; every key that differs is named.
    """
    config = read_config(folder)
    source = Path(folder) / WEIGHTS
    state = read_state_dict(source)
    parts = find_base_weights(config, base)
    # every value comes from the files; for a small model the meta device would cost more than it saves
    try:
        with torch.device("meta") if parts.base else nullcontext():
            model = build_save(config, parts.sam, parts.audio)
        model.base = parts.base
        strict_load(model, {**parts.state, **state}, source=str(source), assign=True)
    except (
        RuntimeError,
        ValueError,
        TypeError,
    ) as error:  # of sizes that do not fit, sizes beyond memory and of numbers that are no weights
        raise SaveAvsError(
            f"{folder}: no model can be made of its config and weights ({_first(error)})"
        ) from error
    return model.float().eval(), config


def init_from_folder(
    model: SAVE, config: SaveConfig, folder: str | Path, *, reset: Sequence[str] = ()
) -> None:
    """Load an earlier stage's weights into ``model``, at another image size, and without adapters if need be.

    Where the earlier stage stands on published checkpoints, ``model`` must be built on the same ones.

    Args:
        model: reset, of this config.
        config: its own.
        folder: the earlier stage's.
        reset: dotted names of modules that stay as they are in ``model``, whatever the folder has of them.

    Raises:
        UsageError: when the folder is no model folder, or the model has no module of a name in ``reset``.
        SaveAvsError: when anything else differs.
    """
    before = read_config(folder)
    within = tuple(f"{name}." for name in reset)
    own = model.state_dict()
    if missing := [name[:-1] for name in within if not any(key.startswith(name) for key in own)]:
        raise UsageError(f"reset: {model.name} has no {missing[0]}")
    stored = read_state_dict(Path(folder) / WEIGHTS)
    state = {key: tensor for key, tensor in stored.items() if not key.startswith(within)}
    _check_bases(model, before.base_weights, folder)
    if before.image_size != config.image_size:
        sam = {k.removeprefix("sam."): v for k, v in state.items() if k.startswith("sam.")}
        resampled = resample_positions(sam, sam_shape(before), config.image_size)
        state |= {f"sam.{k}": v for k, v in resampled.items()}
    added = {
        k: v
        for k, v in own.items()
        if k.startswith(within) or (k not in state and any(a in k for a in ADDED))
    }
    base_weights = {
        k: own[k] for k in (model.base.sums if model.base and before.base_weights else ()) if k not in state
    }
    strict_load(model, {**base_weights, **added, **state}, source=str(folder))


def _check_bases(model: SAVE, wanted: PretrainedRefs, folder: str | Path) -> None:
    has = PretrainedRefs() if model.base is None else model.base.base_weights
    for kind, one, other in (("sam", wanted.sam, has.sam), ("audio", wanted.audio, has.audio)):
        if one is not None and not one.matches(other):
            raise SaveAvsError(
                f"{folder} stands on {one} as its {kind} base: build the model on the same file"
                + ("" if other is None else f", not on {other}")
            )
