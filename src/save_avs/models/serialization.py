"""Model folders: ``config.json``, ``model.safetensors`` and a model card, written and read."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from functools import reduce
from importlib.resources import files
from operator import getitem
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from save_avs._files import atomic_path, atomic_write, read_regular
from save_avs.errors import SaveAvsError, UsageError, first_problem
from save_avs.models.build import build_save, count_layers
from save_avs.models.config import FORMAT_VERSION, PretrainedRefs, SaveConfig
from save_avs.models.pretrained import AUDIO_PREFIX, SAM_PREFIX, PretrainedPaths, find_pretrained_parts
from save_avs.models.sam.checkpoint import resample_positions
from save_avs.models.save import SAVE
from save_avs.weights.state_dict import on_meta_device, read_state_dict, strict_load

_logger = logging.getLogger(__name__)

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
_MAX_CONFIG = 2**20  # bytes
BASE_MODELS = {f"sam-vit-{size[0]}": f"facebook/sam-vit-{size}" for size in ("base", "large", "huge")}
_MAX_ABOUT = 500  # characters
AUDIO_KEYS = (AUDIO_PREFIX, "audio_classifier.")
# keys that a checkpoint of an earlier stage may lack
ADDED = (".adapter.", "audio_adapter.", "semantic.", "stem.cnn.", "stem.norms.", "stem.proj.")


def save_model(model: SAVE, folder: str | Path, *, dtype: torch.dtype = torch.float32, **card: Any) -> Path:
    """Write a model folder in the Hugging Face layout; each file appears complete or not at all.

    Of a model built on published checkpoints only what differs from them is written (what was trained, and
    what never was theirs), and config.json names them. An existing README.md is kept: it may be written by
    hand.

    Args:
        model: built by ``build_save`` or ``build_from_pretrained``, or loaded.
        folder: to write into.
        dtype: of the floating-point tensors.
        card: metadata of a new model card (`model_card`).

    Raises:
        UsageError: when the model was not built from a config, or is in bfloat16: its weights are rounded.
    """
    if model.config is None:
        raise UsageError("the model was not built from a config: set model.config to a SaveConfig to save it")
    if model.precision == "bf16":
        raise UsageError(f"{model.name} has rounded weights: load it with precision='fp32' to save it")
    folder, delta, state = Path(folder), model.pretrained, model.state_dict()
    config = model.config.model_copy(update={"pretrained": delta.refs if delta else PretrainedRefs()})
    tensors = {
        key: tensor.detach().cpu().to(dtype if tensor.is_floating_point() else tensor.dtype).contiguous()
        for key, tensor in (delta.changed(state) if delta else state).items()
    }
    atomic_write(folder / CONFIG, config.model_dump_json(indent=2) + "\n")
    with atomic_path(folder / WEIGHTS) as part:
        save_file(tensors, part, metadata={"format": "pt"})
        part.chmod(0o644)  # safetensors makes it readable by its owner alone
    if not (folder / CARD).exists():
        parameters = sum(tensor.numel() for tensor in tensors.values())
        atomic_write(folder / CARD, model_card(config, parameters, **card))
    return folder


def is_save_folder(folder: Path) -> bool:
    """Return whether a folder has the config of a SAVE; one of transformers' SAM has not."""
    try:
        return "audio_adapter" in json.loads(read_regular(folder / CONFIG))
    except (OSError, ValueError, TypeError):
        return False


def read_config(folder: str | Path) -> SaveConfig:
    """Read a model folder's config; a UsageError if it is missing or invalid."""
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise UsageError(f"{folder} is not a model folder: it has no {CONFIG}")
    if (size := path.stat().st_size) > _MAX_CONFIG:
        raise UsageError(f"{path} has {size:,} bytes: a config has at most {_MAX_CONFIG:,}")
    try:
        return _validated(json.loads(path.read_text()), path)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {_first_line(error)}") from error


def _validated(values: Any, path: Path) -> SaveConfig:
    """Validate a config; of a newer format, keys that are unknown here are left out with a warning."""
    try:
        return SaveConfig.model_validate(values)
    except ValidationError as error:
        unknown = [problem["loc"] for problem in error.errors() if problem["type"] == "extra_forbidden"]
        version = values.get("format_version") if isinstance(values, dict) else None
        if not unknown or not isinstance(version, int) or version <= FORMAT_VERSION:
            raise
    for *parents, key in unknown:
        del reduce(getitem, parents, values)[key]
    names = ", ".join(".".join(map(str, place)) for place in unknown)
    _logger.warning("%s: format %d is newer than this save-avs: %s left out", path, version, names)
    return SaveConfig.model_validate({**values, "format_version": FORMAT_VERSION})


def read_license(folder: str | Path) -> str | None:
    """Return the license that a model card names in its metadata; None if there is none."""
    from huggingface_hub.repocard import metadata_load
    from yaml import YAMLError

    try:
        return (metadata_load(Path(folder) / CARD) or {}).get("license")
    except (OSError, ValueError, YAMLError):
        return None


def read_card(folder: str | Path) -> str:
    """Return the first paragraph of a model card as plain text: what the model is for; empty for none."""
    try:
        card = (Path(folder) / CARD).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    prose = [part for part in card.split("\n\n") if re.match(r"\s*[\w*`]", part)]
    words = prose[0].replace("*", "").replace("`", "").split() if prose else []
    return " ".join(words)[:_MAX_ABOUT]


def _first_line(error: Exception) -> str:
    return first_problem(error) if isinstance(error, ValidationError) else str(error).splitlines()[0]


def load_folder(folder: str | Path, *, pretrained: PretrainedPaths = None) -> SAVE:
    """Build the model of a folder and load its weights as float32, in evaluation mode.

    Args:
        folder: with config.json and model.safetensors.
        pretrained: where to look for the checkpoints it was built on (files, folders), besides the cache.

    Raises:
        UsageError: when the folder is not a model folder, or a checkpoint is missing; the line says how to
            fetch it.
        SaveAvsError: when a checkpoint is not the one the model was trained on, or the weights do not fit the
            config; every key that differs is named.
    """
    config = read_config(folder)
    source = Path(folder) / WEIGHTS
    state = read_state_dict(source)
    _check_positions(config, folder)
    parts = find_pretrained_parts(config, pretrained)
    whole = {**parts.state, **state}
    if (layers := count_layers(config)) > len(whole):
        raise SaveAvsError(
            f"{folder}: its config asks for {layers:,} layers, its weights hold {len(whole):,} tensors"
        )
    try:
        with on_meta_device():  # nothing is allocated: every value comes from the files
            model = build_save(config, parts.sam, parts.audio, parts.stem)
        model.pretrained = parts.delta
        strict_load(model, whole, source=str(source), assign=True)
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        # sizes that do not divide or overflow, integers for weights
        raise SaveAvsError(
            f"{folder}: cannot build a model from its config and weights ({_first_line(error)})"
        ) from error
    return model.float().eval()


def _check_positions(config: SaveConfig, folder: str | Path) -> None:
    """Refuse an image size that a checkpoint's positions would be resampled to beyond its own size."""
    sam, checkpoint = config.sam, config.pretrained.sam
    positions = (config.image_size // sam.patch_size) ** 2 * sam.embed_dim
    if checkpoint is not None and positions > checkpoint.size:
        raise SaveAvsError(
            f"{folder}: image_size {config.image_size} needs {positions:,} parameters for positions alone, "
            f"more than {checkpoint} has"
        )


def init_from_folder(model: SAVE, folder: str | Path, *, reset: Sequence[str] = ()) -> None:
    """Load an earlier stage's weights into ``model``, which may have another image size, and more adapters.

    Where the earlier stage was built on published checkpoints, ``model`` must be built on the same ones.

    Args:
        model: newly built.
        folder: the earlier stage's.
        reset: dotted names of modules that keep their values in ``model``, whatever the folder has of them.

    Raises:
        UsageError: when the folder is not a model folder, or the model has no module of a name in ``reset``.
        SaveAvsError: when anything else differs.
    """
    before = read_config(folder)
    prefixes = tuple(f"{name}." for name in reset)
    own = model.state_dict()
    for prefix in prefixes:
        if not any(key.startswith(prefix) for key in own):
            raise UsageError(f"reset: {model.name} has no {prefix[:-1]}")
    stored = read_state_dict(Path(folder) / WEIGHTS)
    state = {key: tensor for key, tensor in stored.items() if not key.startswith(prefixes)}
    _check_pretrained(model, before.pretrained, folder)
    if before.image_size != model.image_size:
        sam = {k.removeprefix(SAM_PREFIX): v for k, v in state.items() if k.startswith(SAM_PREFIX)}
        resampled = resample_positions(sam, before.sam, model.image_size)
        state |= {SAM_PREFIX + key: tensor for key, tensor in resampled.items()}
    added = {
        key: tensor
        for key, tensor in own.items()
        if key.startswith(prefixes) or (key not in state and any(part in key for part in ADDED))
    }
    delta = model.pretrained if before.pretrained else None
    unchanged = {key: own[key] for key in (delta.checksums if delta else ()) if key not in state}
    strict_load(model, {**unchanged, **added, **state}, source=str(folder))


def init_audio_from_folder(model: SAVE, folder: str | Path) -> None:
    """Load another model's audio backbone and audio classifier into ``model``.

    Raises:
        UsageError: when the folder is not a model folder.
        SaveAvsError: when it has other audio modules.
    """
    before = read_config(folder)
    _check_pretrained(model, PretrainedRefs(audio=before.pretrained.audio), folder)
    state = read_state_dict(Path(folder) / WEIGHTS)
    own = model.state_dict()
    audio = {key: tensor for key, tensor in state.items() if key.startswith(AUDIO_KEYS)}
    if before.pretrained.audio is None:  # a whole backbone replaces the model's
        own = {key: tensor for key, tensor in own.items() if not key.startswith(AUDIO_KEYS)}
    strict_load(model, {**own, **audio}, source=str(folder))


def _check_pretrained(model: SAVE, wanted: PretrainedRefs, folder: str | Path) -> None:
    has = PretrainedRefs() if model.pretrained is None else model.pretrained.refs
    for (kind, one), (_, other) in zip(wanted, has, strict=True):
        if one is not None and not one.matches(other):
            instead = "" if other is None else f", not on {other}"
            raise SaveAvsError(
                f"{folder} was built on {one} as its {kind} weights: build on the same file{instead}"
            )


def model_card(config: SaveConfig, parameters: int, **metadata: Any) -> str:
    """A README.md in the Hugging Face format: what can be said without knowing how the model was trained.

    Args:
        config: of the model.
        parameters: how many the folder holds.
        metadata: more of ``huggingface_hub.ModelCardData``: license, datasets, eval_results, ...
    """
    from huggingface_hub import ModelCardData
    from jinja2 import Environment, StrictUndefined

    sam = config.pretrained.sam
    base = None if sam is None else BASE_MODELS.get(str(sam.name).removesuffix("-hf"))
    known = {
        "library_name": "save-avs",
        "pipeline_tag": "image-segmentation",
        "tags": ["audio-visual-segmentation", "segment-anything", "adapters"],
        "base_model": base,
        "model_name": config.name,
    }
    data = ModelCardData(**known | metadata).to_yaml()

    template = files("save_avs.models").joinpath("model_card.md.jinja").read_text("utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    refs = dict(config.pretrained)
    return environment.from_string(template).render(
        config=config, refs=refs, parameters=parameters, data=data
    )
