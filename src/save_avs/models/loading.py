"""``load_model``: a bundled name, a folder or a hub's repository to a model that is ready to run."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Literal, overload

import torch

from save_avs.errors import UsageError
from save_avs.models.precision import resolve_precision, set_precision
from save_avs.models.pretrained_delta import BaseWeightPaths
from save_avs.models.save import SAVE, Precision
from save_avs.models.serialization import CONFIG, WEIGHTS, load_folder
from save_avs.runtimes.registry import AUTO, TORCH, get_runtime, open_runtime
from save_avs.runtimes.runtime_model import RuntimeModel
from save_avs.runtimes.selection import fastest_runtime
from save_avs.weights.hub import HUB_PREFIX, HubRepository, fetch_from_hub

BUNDLED = ("save-tiny",)


@overload
def load_model(
    name_or_path: str | Path = ...,
    *,
    device: str = ...,
    precision: str = ...,
    runtime: Literal["torch"] = ...,
    base: BaseWeightPaths = ...,
) -> SAVE: ...
@overload
def load_model(
    name_or_path: str | Path = ...,
    *,
    device: str = ...,
    precision: str = ...,
    runtime: str,
    base: BaseWeightPaths = ...,
) -> SAVE | RuntimeModel: ...
def load_model(
    name_or_path: str | Path = "save-tiny",
    *,
    device: str = "auto",
    precision: str = "auto",
    runtime: str = TORCH,
    base: BaseWeightPaths = None,
) -> SAVE | RuntimeModel:
    """Load a SAVE in evaluation mode.

    Args:
        name_or_path: a bundled model's name, a folder with config.json and model.safetensors, or
            ``hf:owner/name`` or ``hf:owner/name@revision``, from the Hugging Face Hub.
        device: ``auto`` takes a GPU where there is one; else as torch names it: ``cpu``, ``cuda:1``.
        precision: what it holds and computes in: ``fp32``, ``bf16``, or ``auto``: bfloat16 where the
            processor multiplies it natively. To train or to save a model, load it in ``fp32``.
        runtime: what computes it: ``torch``; ``openvino`` or ``onnx`` for the same masks on a processor,
            ``openvino-int8`` for nearly the same, with the extra of that name; ``auto``: what
            ``save-avs bench --choose`` found fastest here, or torch.
        base: of a model that stands on published checkpoints, where these may lie (a file or folder, or
            several). They are looked for in the cache too (``SAVE_AVS_CACHE``), and told by their sha256.

    Raises:
        UsageError: when there is no such model, device, precision or runtime, or a base is not here: the line
            says how to fetch it.
        SaveAvsError: when a base is another file than the model was trained on, or the weights do not fit
            the config.

    Examples:
        >>> import save_avs
        >>> model = save_avs.load_model("save-tiny", device="cpu", precision="fp32")
        >>> model.name, model.image_size, model.precision
        ('save-tiny', 256, 'fp32')
    """
    folder = find_model_folder(name_or_path)
    where = resolve_device(device)
    arithmetic = resolve_precision(precision, where)
    chosen = _resolve_runtime(runtime, folder, arithmetic, where)
    if chosen == TORCH:
        model, _ = load_folder(folder, base=base)
        return set_precision(model.to(where), arithmetic)
    if precision == "auto" and arithmetic not in get_runtime(chosen).precisions:
        arithmetic = "fp32"
    return open_runtime(chosen, folder, arithmetic, base)


def find_model_folder(name_or_path: str | Path) -> Path:
    """Return the folder of a model; one on the Hub is downloaded into the Hub's cache.

    Raises:
        UsageError: when it is neither a bundled name nor a model folder nor on a hub.
        SaveAvsError: when the hub cannot be reached, or has other files than it tells.
    """
    if str(name_or_path).startswith(HUB_PREFIX):
        return fetch_from_hub(HubRepository.parse(str(name_or_path)), (CONFIG, WEIGHTS))
    if str(name_or_path) in BUNDLED:
        return Path(str(resources.files("save_avs"))) / "bundled" / str(name_or_path)
    folder = Path(name_or_path)
    if not (folder / CONFIG).is_file():
        raise UsageError(
            f"no model '{name_or_path}': give a bundled name ({', '.join(BUNDLED)}), a folder with {CONFIG}, "
            "or hf:owner/name"
        )
    return folder


def resolve_device(device: str) -> torch.device:
    """``auto`` or torch's name to a device that is there.

    Raises:
        UsageError: when it is not.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device '{device}' is not here: try --device cpu") from error
    return chosen


def _resolve_runtime(runtime: str, folder: Path, precision: Precision, device: torch.device) -> str:
    """The runtime's name; ``auto`` to the fastest that was measured, torch where nothing was.

    Raises:
        UsageError: when it does not run on the device.
    """
    if device.type == "cpu":
        return fastest_runtime(folder, precision) or TORCH if runtime == AUTO else runtime
    if runtime in (AUTO, TORCH):
        return TORCH
    raise UsageError(f"runtime '{runtime}' computes on the processor only: add --device cpu")
