"""Reading weight files without running what is in them: safetensors, and torch files with weights only."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from save_avs.errors import SaveAvsError
from save_avs.weights.paths import find_weights_file

_NESTS = ("model", "state_dict")
_ARRAY = np.empty(0).__reduce__()[0]  # what numpy's pickles are read by
# What training scripts leave beside the tensors (PANNs: the state of a sampler): arrays of plain numbers.
_NUMBERS: list[Any] = [
    np.ndarray,
    np.dtype,
    _ARRAY,
    (_ARRAY, "numpy.core.multiarray._reconstruct"),  # its name before numpy 2
    *(type(np.dtype(kind)) for kind in "?bhilqBHILQefd"),
]
_ZIP, _PICKLE = b"PK", b"\x80\x02"  # how torch's files begin; the older format is a row of pickles


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict onto the CPU: .safetensors, or torch's format, of which only numbers are accepted.

    A state dict nested under "model" or "state_dict", as training scripts save it, is taken out.

    Raises:
        UsageError: when there is no such file.
        SaveAvsError: when the file is damaged, holds pickled code, or no state dict.
    """
    file = find_weights_file(Path(path))
    with file.open("rb") as stream:
        if stream.read(32).startswith(b"version https://git-lfs"):
            raise SaveAvsError(f"{file}: a Git LFS pointer, not the weights; fetch them with `git lfs pull`")
    state = _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
    if isinstance(state, Mapping):
        state = next((state[nest] for nest in _NESTS if isinstance(state.get(nest), Mapping)), state)
    if not isinstance(state, Mapping) or not all(map(_is_named_tensor, state.items())):
        raise SaveAvsError(f"{file}: holds no state dict (a mapping of names to tensors)")
    return dict(state)


def _is_named_tensor(item: tuple[object, object]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file, device="cpu")
    except MemoryError:
        raise
    except Exception as error:  # safetensors' own, and whatever numbers of no known kind make torch raise
        raise SaveAvsError(
            f"{file}: not a whole safetensors file ({_line(error)}); fetch it again"
        ) from error


def _read_torch(file: Path) -> object:
    with file.open("rb") as stream:
        head = stream.read(2)
    if head not in (_ZIP, _PICKLE):
        raise SaveAvsError(f"{file}: neither safetensors nor a torch weight file")
    if head == _ZIP:
        _check_stored(file)
    try:
        with torch.serialization.safe_globals(_NUMBERS):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if head == _ZIP or "GLOBAL" in str(error):
            raise SaveAvsError(
                f"{file}: holds pickled code beside tensors, which is never run here; "
                "save its state dict alone, best as .safetensors"
            ) from error
        raise SaveAvsError(f"{file}: damaged or cut short; fetch it again") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged pickle makes the reader stumble over
        raise SaveAvsError(f"{file}: damaged or cut short ({_line(error)}); fetch it again") from error


def _check_stored(file: Path) -> None:
    """Refuse archives that unpack to more than they are.

    Raises:
        SaveAvsError: when members are compressed or lie over each other, as torch.save never has them.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except Exception as error:  # whatever a damaged list of members makes the reader stumble over
        raise SaveAvsError(f"{file}: damaged or cut short ({_line(error)}); fetch it again") from error
    stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
    if not stored or sum(member.file_size for member in members) > file.stat().st_size:
        raise SaveAvsError(
            f"{file}: compressed, or its parts lie over each other, which torch.save never does; "
            "fetch it again"
        )


def _line(error: Exception) -> str:
    """The first line of an error's message."""
    return next(iter(str(error).splitlines()), type(error).__name__)
