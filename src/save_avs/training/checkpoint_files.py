"""A checkpoint on disk: a file, or a folder of shards (FSDP2); complete or absent, with checksums.

Of a sharded model every process writes and reads its own shards, through torch.distributed.checkpoint.
Numbers and text are in ``state.pt``; the index of the shards, ``.metadata``, is written last.
"""

import io
import os
import shutil
import warnings
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save

from save_avs._files import atomic_path
from save_avs.errors import SaveAvsError
from save_avs.training.distributed import DistributedContext

_NUMBERS, _INDEX = "state.pt", ".metadata"
_TENSORS = ("modules", "ema")  # entries of a state that hold only tensors, by name


class DamagedCheckpointError(SaveAvsError):
    """A checkpoint that was cut short, or changed after it was written."""


class ShardedSave(NamedTuple):
    """The shards of a checkpoint on their way to the disk."""

    folder: Path
    writing: Any  # a future

    def wait(self) -> None:
        """Wait until all processes have written; an OSError of any of them is raised in all."""
        try:
            self.writing.result()
        except CheckpointException as error:
            cause, _ = next(iter(error.failures.values()))
            raise _os_error(cause) or cause from None


def save_state(path: Path, state: dict[str, Any], distributed: DistributedContext) -> ShardedSave | None:
    """Write a state; every process must call it, and gets the OSError of any.

    The state may hold ``modules`` and ``ema``, tensors by name, and ``optimizers``, their states. ``path``
    has no suffix: ``.pt`` is added where the model is not sharded. Of a sharded model the tensors are copied
    at once, so that training can continue; a thread writes them.
    """
    if not distributed.sharded:
        distributed.on_main(lambda: _write(path.with_suffix(".pt"), state))
        return None
    optimizers = state.get("optimizers", [])
    tensors = {name: state[name] for name in _TENSORS if name in state}
    numbers = state | dict.fromkeys(tensors) | {"optimizers": [o | {"state": {}} for o in optimizers]}
    tensors["optimizers"] = {str(i): optimizer["state"] for i, optimizer in enumerate(optimizers)}

    def prepare() -> None:
        if path.exists():  # shards of another run must not mix with these
            delete(path)
        path.mkdir()
        _write(path / _NUMBERS, numbers)

    distributed.on_main(prepare)
    writer = FileSystemWriter(path)
    writing = async_save(tensors, storage_writer=writer, process_group=distributed.checkpoint_group)
    assert isinstance(writing, Future)
    return ShardedSave(path, writing)


def is_complete(path: Path) -> bool:
    """Return whether a checkpoint was written to the end."""
    return (path / _INDEX if path.is_dir() else path).is_file()


def delete(path: Path) -> None:
    """Delete a checkpoint; a folder is incomplete from the first moment on."""
    if path.is_dir():
        (path / _INDEX).unlink(missing_ok=True)
        shutil.rmtree(path)
    else:
        path.unlink()


def read_numbers(path: Path) -> dict[str, Any]:
    """Read a checkpoint; of a folder all but the tensors.

    A DamagedCheckpointError if it was cut short, or changed since.
    """
    file = path / _NUMBERS if path.is_dir() else path
    try:
        with zipfile.ZipFile(file) as archive:
            broken = archive.testzip()  # compares every part with its CRC-32
        if broken is None:
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a torn file may raise anything
        raise DamagedCheckpointError(f"{path}: damaged or cut short") from error
    raise DamagedCheckpointError(f"{path}: damaged")


def read_tensors(
    path: Path, state: dict[str, Any], own: Callable[[], dict[str, Any]], distributed: DistributedContext
) -> dict[str, Any]:
    """Add the tensors to what ``read_numbers`` returned, which of a file is everything.

    All processes read together, each what it holds of them. ``own`` returns tensors by name to read into, and
    the parameters of each optimizer as ``optimizers``. They may be overwritten before a
    DamagedCheckpointError says that the checkpoint was cut short or changed.
    """
    if not path.is_dir():
        return state
    tensors = own()
    try:
        if "optimizers" in tensors:
            tensors["optimizers"] = _empty_optimizer_states(path, tensors["optimizers"])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")  # one process reads alone
            load(tensors, storage_reader=_CheckedReader(path), process_group=distributed.checkpoint_group)
    except (CheckpointException, Exception) as error:  # the former is not an Exception
        raise DamagedCheckpointError(f"{path}: damaged or cut short") from error
    states = tensors.pop("optimizers", {})
    optimizers = [
        optimizer | {"state": {int(k): v for k, v in states.get(str(i), {}).items()}}
        for i, optimizer in enumerate(state["optimizers"])
    ]
    return {**state, **tensors, "optimizers": optimizers}


def _write(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and numbers with a checksum of every part; the file is complete or absent."""
    with atomic_path(path) as tmp, tmp.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch's writer wraps what the file raised
            raise _os_error(error) or error from None
        file.flush()
        os.fsync(file.fileno())  # the content must reach the disk before the rename does


def _empty_optimizer_states(path: Path, parameters: Sequence[Sequence[nn.Parameter]]) -> dict[str, Any]:
    """Return tensors for a checkpoint's optimizer states to be read into, sharded as the parameters are."""
    metadata = FileSystemReader(path).read_metadata()
    states: dict[str, Any] = {}
    for key, place in (metadata.planner_data or {}).items():
        stored = metadata.state_dict_metadata[key]
        if place[0] == "optimizers" and isinstance(stored, TensorStorageMetadata):
            _, optimizer, index, name = map(str, place)
            parameter = parameters[int(optimizer)][int(index)]
            if stored.size == parameter.shape:
                value = torch.zeros_like(parameter, requires_grad=False)
            else:  # counts of steps are not sharded
                value = torch.zeros(stored.size, dtype=stored.properties.dtype)
            states.setdefault(optimizer, {}).setdefault(index, {})[name] = value
    return states


class _CheckedReader(FileSystemReader):
    """Compares each part of the shards with its CRC-32, which torch does not."""

    def read_data(self, plan: Any, planner: Any) -> Any:
        for index in {item.storage_index for item in plan.items}:
            part = self.storage_data[index]
            with (Path(self.path) / part.relative_path).open("rb") as file:
                file.seek(part.offset)
                content = io.BytesIO(file.read(part.length))
            with zipfile.ZipFile(content) as archive:
                if archive.testzip() is not None:
                    raise DamagedCheckpointError(f"{part.relative_path}: damaged")
        return super().read_data(plan, planner)


def _os_error(error: BaseException | None) -> OSError | None:
    """Return the error of the operating system behind another."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error
