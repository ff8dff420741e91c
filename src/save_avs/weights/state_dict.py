"""State dicts: reading them from files without running what is in them, and loading them strictly."""

import math
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from save_avs._text import first_line
from save_avs.errors import SaveAvsError
from save_avs.weights.cache import find_weights_file
from save_avs.weights.file_check import WeightsFormat, detect_format, find_defect

_NESTED_IN = ("model", "state_dict")
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# the functions in numpy's pickles
_FUNCTIONS = {"_reconstruct": np.empty(0).__reduce__()[0], "scalar": np.float64(0).__reduce__()[0]}
# What training scripts store next to the tensors (PANNs: the state of a sampler): numbers and arrays of them.
_PLAIN_ARRAYS: list[Any] = [
    np.ndarray,
    np.dtype,
    # by their names before numpy 2 and since, as the file was written by either
    *(
        (_FUNCTIONS[name], f"numpy.{core}.multiarray.{name}")
        for name in _FUNCTIONS
        for core in ("core", "_core")
    ),
    *(type(np.dtype(kind)) for kind in "?bhilqBHILQefd"),
]


class _WithoutNormalDraws(TorchFunctionMode):
    """Skips draws from a normal distribution."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (Tensor.normal_, nn.init.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def on_meta_device() -> Iterator[None]:
    """Build modules without allocating or drawing their parameters.

    On the meta device a draw from a normal distribution imports torch's compiler, which takes a second.
    """
    with torch.device("meta"), _WithoutNormalDraws():
        yield


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict onto the CPU: .safetensors, or torch's format, of which only numbers are accepted.

    A state dict nested under "model" or "state_dict", or the first of a tuple, as training scripts save it,
    is taken out.

    Raises:
        UsageError: when there is no such file.
        SaveAvsError: when the file is damaged, holds pickled code, no state dict, or a value that is not
            finite.
    """
    file = find_weights_file(Path(path))
    if defect := find_defect(file):
        raise SaveAvsError(f"{file}: {defect}; fetch it again")
    state = _read_safetensors(file) if detect_format(file) is WeightsFormat.SAFETENSORS else _read_torch(file)
    if isinstance(state, tuple) and state:
        state = state[0]
    if isinstance(state, Mapping):
        state = next((state[key] for key in _NESTED_IN if isinstance(state.get(key), Mapping)), state)
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise SaveAvsError(f"{file}: contains no state dict (a mapping of names to tensors)")
    _check_values(file, state)
    return dict(state)


def _check_values(file: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse values that are not finite, and tensors that have more of them than the file has bytes.

    In torch's format a tensor of any shape can repeat a single stored value.
    """
    parameters, size = sum(tensor.numel() for tensor in state.values()), file.stat().st_size
    if parameters > size:
        raise SaveAvsError(f"{file}: its {size:,} bytes declare {parameters:,} parameters; fetch it again")
    for key, tensor in state.items():
        if tensor.dtype not in _FLOATS and (tensor.is_floating_point() or tensor.is_complex()):
            raise SaveAvsError(f"{file}: {key} is {tensor.dtype}; convert it to float32")
        if tensor.dtype in _FLOATS and tensor.numel() and not _is_finite(tensor):
            raise SaveAvsError(f"{file}: {key} contains NaN or infinity; train it again, or fetch it again")


def _is_finite(tensor: Tensor) -> bool:
    if math.isfinite(tensor.sum()):
        return True
    low, high = tensor.aminmax()  # the sum may overflow; this makes no tensor of booleans
    return math.isfinite(low) and math.isfinite(high)


def state_dict_mismatches(module: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """List how a state dict differs from a module's: one phrase per kind, with all keys; empty if none."""
    own = module.state_dict()
    shapes = [
        f"{key} is {list(state[key].shape)} instead of {list(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    found = (
        ("missing", [key for key in own if key not in state]),
        ("unexpected", [key for key in state if key not in own]),
        ("mis-shaped", shapes),
    )
    return [f"{len(keys)} {kind}: {', '.join(keys)}" for kind, keys in found if keys]


def strict_load(module: nn.Module, state: Mapping[str, Tensor], *, source: str, assign: bool = False) -> None:
    """Load a state dict into a module, completely or not at all.

    With ``assign`` the tensors themselves become the module's parameters, as a module on the meta device
    needs; else the module keeps its own precision and device.

    Raises:
        SaveAvsError: when anything differs; the message lists every missing, unexpected and mis-shaped key.
    """
    if mismatches := state_dict_mismatches(module, state):
        raise SaveAvsError(f"{source} does not fit {type(module).__name__}; {'; '.join(mismatches)}")
    module.load_state_dict(state, assign=assign)


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file, device="cpu")
    except MemoryError:
        raise
    except Exception as error:  # safetensors' own, and what numbers of an unknown kind make torch raise
        raise SaveAvsError(
            f"{file}: not a complete safetensors file ({first_line(error)}); fetch it again"
        ) from error


def _read_torch(file: Path) -> object:
    is_zip = detect_format(file) is WeightsFormat.TORCH_ZIP
    if is_zip:
        _check_zip(file)
    try:
        with torch.serialization.safe_globals(_PLAIN_ARRAYS):
            return torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # also what a damaged pickle makes the reader raise
        if isinstance(error, pickle.UnpicklingError) and (is_zip or "GLOBAL" in str(error)):
            raise SaveAvsError(
                f"{file}: contains pickled code, which is never run; "
                "save only its state dict, preferably as .safetensors"
            ) from error
        raise SaveAvsError(f"{file}: damaged or cut short ({first_line(error)}); fetch it again") from error


def _check_zip(file: Path) -> None:
    """Refuse archives that unpack to more than they are: entries compressed or overlapping."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except Exception as error:  # also what a damaged directory makes the reader raise
        raise SaveAvsError(f"{file}: damaged or cut short ({first_line(error)}); fetch it again") from error
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    if not stored or sum(entry.file_size for entry in entries) > file.stat().st_size:
        raise SaveAvsError(
            f"{file}: overlapping or compressed zip entries; not written by torch.save. Fetch it again"
        )
