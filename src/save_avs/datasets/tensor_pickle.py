"""Pickles of strangers: read for the tensor or the plain values in them, without running what they name.

The benchmark's ``audio_log_mel/*.pkl`` are pickled torch tensors. Such a pickle names
``torch.storage._load_from_bytes``, which is ``torch.load(weights_only=False)``: to allow it would open the
door again, one level further in. Here a ``weights_only=True`` load stands in its place.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from save_avs.datasets.storage import StoredFile, open_file
from save_avs.errors import DataError
from save_avs.types import F32

if TYPE_CHECKING:
    import torch

MAX_BYTES = 1 << 26  # a clip's patches take 0.25 MB
_TORCH_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)  # how torch.save's older format begins


def read_tensor_pickle(path: StoredFile) -> F32:
    """Read the one tensor in a pickle, or in a file of ``torch.save``, as f32.

    Raises:
        DataError: when it is missing, damaged, too large, holds anything else, or names any code.
    """
    tensor = _guarded(path, _load_tensor)
    if not hasattr(tensor, "is_floating_point") or not tensor.is_floating_point():
        raise DataError(f"{path}: holds no tensor of real numbers")
    return tensor.detach().float().contiguous().numpy().astype(np.float32, copy=False)


def read_plain_pickle(path: StoredFile) -> Any:
    """Read a pickle of plain values: dictionaries, lists, tuples, texts, numbers.

    Raises:
        DataError: when it is missing, damaged, too large, or names any code.
    """
    return _guarded(path, lambda data: _unpickle(data, {}))


def _guarded(path: StoredFile, load: Callable[[bytes], Any]) -> Any:
    """Load a file's bytes; whatever goes wrong is one line about the file."""
    try:
        with open_file(path) as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise DataError(f"{path}: larger than {MAX_BYTES >> 20} MiB, so it is no file of this benchmark")
        return load(data)
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing") from error
    except DataError:
        raise
    # a damaged or hostile pickle may raise anything at all
    except (Exception, RecursionError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{path}: not read as a pickle ({reason})") from error


def _load_tensor(data: bytes) -> torch.Tensor:
    if data.startswith((b"PK", _TORCH_MAGIC)):
        return _torch_load(data)
    table = {
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
        ("torch.storage", "_load_from_bytes"): _torch_load,
        ("_codecs", "encode"): _latin_bytes,
        ("collections", "OrderedDict"): OrderedDict,  # a tensor's hooks: always empty
    }
    return _unpickle(data, table)


def _unpickle(data: bytes, table: dict[tuple[str, str], Callable[..., Any]]) -> Any:
    """Unpickle, where every name that the pickle uses must be in ``table`` and becomes what stands there."""
    # A slot far beyond the file's length makes the unpickler reserve memory for all those before it.
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name.endswith("PUT") and int(argument or 0) > len(data):
            raise pickle.UnpicklingError("damaged")
    return _Unpickler(io.BytesIO(data), table).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, table: dict[tuple[str, str], Callable[..., Any]]) -> None:
        super().__init__(file, encoding="utf-8")
        self._table = table

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Hand out what stands in for a name; refuse every other."""
        if (module, name) not in self._table:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is never run here")
        return self._table[module, name]


def _torch_load(data: bytes) -> Any:
    """Load what ``torch.save`` wrote: tensors and storages, never code."""
    import torch

    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise pickle.UnpicklingError(f"it unpacks to more than {MAX_BYTES >> 20} MiB")
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _rebuild(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Any:
    """A tensor over a storage; the storage must hold every element, for torch would enlarge it."""
    import torch

    if not isinstance(storage, torch.storage.TypedStorage):
        raise pickle.UnpicklingError("its tensor lies over no storage")
    bare = storage._untyped_storage  # as torch itself takes it; every public way to it warns
    count = bare.nbytes() // storage.dtype.itemsize
    numbers = (offset, *size, *stride)
    sound = all(type(n) is int and n >= 0 for n in numbers) and len(size) == len(stride) <= 8
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if sound else count
    if last >= count or math.prod(size) > count:
        raise pickle.UnpicklingError("its tensor is larger than its storage")
    return torch.empty(0, dtype=storage.dtype).set_(bare, offset, size, stride)


def _latin_bytes(text: str, encoding: str) -> bytes:
    """How pickles of protocol 2 spell bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes as {encoding}")
    return text.encode("latin1")
