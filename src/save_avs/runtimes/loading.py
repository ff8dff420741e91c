"""``load_model``: a bundled name, a model folder or a hub repository to a model that is ready to run."""

from difflib import get_close_matches
from pathlib import Path
from typing import Literal, overload

import torch

from save_avs._extras import models_folder
from save_avs.errors import UsageError
from save_avs.models.precision import resolve_precision, set_precision
from save_avs.models.pretrained import PretrainedPaths
from save_avs.models.sam import Sam, load_sam
from save_avs.models.save import SAVE, Precision
from save_avs.models.serialization import CONFIG, WEIGHTS, is_save_folder, load_folder
from save_avs.runtimes.registry import (
    AUTO,
    TORCH,
    RuntimeModel,
    fastest_runtime,
    get_runtime,
    model_key,
    open_runtime,
)
from save_avs.weights.cache import resolve_weights
from save_avs.weights.hub import HUB_PREFIX, HubRepository, fetch_from_hub
from save_avs.weights.registry import pretrained_weights

DEFAULT_MODEL = "save-small"
BUNDLED = (DEFAULT_MODEL, "save-tiny")  # save-tiny, which the tests use, in a clone alone


@overload
def load_model(
    name_or_path: str | Path = ...,
    *,
    device: str = ...,
    precision: str = ...,
    runtime: Literal["torch"] = ...,
    pretrained: PretrainedPaths = ...,
) -> SAVE: ...
@overload
def load_model(
    name_or_path: str | Path = ...,
    *,
    device: str = ...,
    precision: str = ...,
    runtime: str,
    pretrained: PretrainedPaths = ...,
) -> SAVE | RuntimeModel: ...
def load_model(
    name_or_path: str | Path = DEFAULT_MODEL,
    *,
    device: str = "auto",
    precision: str = "auto",
    runtime: str = TORCH,
    pretrained: PretrainedPaths = None,
) -> SAVE | RuntimeModel:
    """Load a SAVE in evaluation mode.

    Args:
        name_or_path: a bundled model's name, a folder with config.json and model.safetensors, or
            ``hf:owner/name`` or ``hf:owner/name@revision``, from the Hugging Face Hub.
        device: ``auto`` takes a GPU if there is one; else as torch names it: ``cpu``, ``cuda:1``, ``mps``.
        precision: of weights and computation: ``fp32``, ``bf16``, or ``auto``: bfloat16 where the device
            multiplies it natively. To train or to save a model, load it in ``fp32``.
        runtime: what computes it: ``torch``; ``openvino`` or ``onnx`` for the same masks on a CPU,
            ``openvino-int8`` for nearly the same, with the extra of that name; ``auto``: what
            ``save-avs bench --choose`` found fastest on this machine, or torch.
        pretrained: for a model built on published checkpoints, where to look for them (a file or folder, or
            several), besides the cache (``SAVE_AVS_CACHE``). They are recognized by their sha256.

    Raises:
        UsageError: when there is no such model, device, precision or runtime, or a checkpoint is missing: the
            line says how to fetch it.
        SaveAvsError: when a checkpoint is not the one the model was trained on, or the weights do not fit the
            config.

    Examples:
        >>> import save_avs
        >>> model = save_avs.load_model("save-small", device="cpu", precision="fp32")
        >>> model.name, model.image_size, model.precision
        ('save-small', 256, 'fp32')
    """
    folder = find_model_folder(name_or_path)
    torch_device = resolve_device(device)
    resolved = resolve_precision(precision, torch_device)
    chosen = _resolve_runtime(runtime, folder, resolved, torch_device)
    if chosen == TORCH:
        model = set_precision(load_folder(folder, pretrained=pretrained).to(torch_device), resolved)
    else:
        if precision == "auto" and resolved not in get_runtime(chosen).precisions:
            resolved = "fp32"
        model = open_runtime(chosen, folder, resolved, pretrained)
    model.checksum = model_key(folder)
    return model


def load_prompt_model(name_or_path: str | Path, *, device: str = "auto") -> Sam | SAVE:
    """Load a model for ``segment_prompt``: a SAM by path or published name, or a SAVE as ``load_model``."""
    name, path = str(name_or_path), Path(name_or_path)
    fetched = name in pretrained_weights() and not path.exists()
    if fetched or path.is_file() or (path.is_dir() and not is_save_folder(path)):
        return load_sam(resolve_weights(name) if fetched else path).to(resolve_device(device))
    return load_model(name, device=device, precision="fp32")


def find_model_folder(name_or_path: str | Path) -> Path:
    """The folder of a model; one on the Hub is downloaded into the Hub's cache."""
    name = str(name_or_path)
    if name.startswith(HUB_PREFIX):
        return fetch_from_hub(HubRepository.parse(name), (CONFIG, WEIGHTS))
    if name in BUNDLED:
        folder = models_folder() / name
        if not folder.is_dir():
            raise UsageError(f"only a clone of the repository has {name}: use {DEFAULT_MODEL}, or train it")
        return folder
    folder = Path(name_or_path)
    if not (folder / CONFIG).is_file():
        close = get_close_matches(name, BUNDLED, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise UsageError(
            f"no model '{name}': {hint}give a bundled name ({DEFAULT_MODEL}), a folder with {CONFIG}, "
            "or hf:owner/name"
        )
    return folder


def resolve_device(device: str) -> torch.device:
    """Resolve ``auto`` or torch's name of a device; a UsageError if it is not available."""
    if device == "auto":
        available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        return torch.device(next((name for name, there in available.items() if there), "cpu"))
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device '{device}' is not available: try --device cpu") from error
    return chosen


def _resolve_runtime(runtime: str, folder: Path, precision: Precision, device: torch.device) -> str:
    """Resolve ``auto`` to the fastest runtime that was measured, torch where none was."""
    if device.type == "cpu":
        return fastest_runtime(folder, precision) or TORCH if runtime == AUTO else runtime
    if runtime in (AUTO, TORCH):
        return TORCH
    raise UsageError(f"runtime '{runtime}' runs on the CPU only: add --device cpu")
