"""Checkpoints: what changes in training, a checksum of what is frozen, and the best weights so far."""

import math
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from save_avs._files import atomic_path
from save_avs.errors import SaveAvsError
from save_avs.models.pretrained import checksum
from save_avs.training.dtensor import copy_into, full_tensor

KEYS = {
    "step",
    "frozen_checksum",
    "modules",
    "ema",
    "optimizers",
    "scaler",
    "best",
    "validated_step",
    "logger",
}
PATTERN = re.compile(r"checkpoint-(\d{8})\.pt")
BEST = "best.pt"


class DamagedCheckpointError(SaveAvsError):
    """A checkpoint that was cut short, or changed after it was written."""


class CheckpointManager:
    """The newest ``keep`` checkpoints of a stage, each complete or absent."""

    def __init__(self, folder: Path, keep: int, on_message: Callable[[str], None]) -> None:
        self.folder, self.keep, self.on_message = folder, keep, on_message

    def files(self) -> list[Path]:
        """Return the checkpoints, newest first."""
        found = (p for p in self.folder.glob("checkpoint-*.pt") if PATTERN.fullmatch(p.name))
        return sorted(found, reverse=True)

    def save(self, state: dict[str, Any]) -> None:
        """Write a checkpoint, then delete the oldest ones.

        Raises:
            SaveAvsError: when it cannot be written; earlier ones stay as they are.
        """
        path = self.folder / f"checkpoint-{state['step']:08}.pt"
        try:
            write_state(path, state)
        except OSError as error:
            earlier = self.files()
            intact = f"{earlier[0].name} is intact" if earlier else "there is no earlier one"
            raise SaveAvsError(
                f"{path}: {error.strerror}: the checkpoint of step {state['step']} was not written, "
                f"{intact}; free some space and run the same command again to resume"
            ) from error
        for old in self.files()[self.keep :]:
            old.unlink()

    def load(self, frozen: int) -> dict[str, Any] | None:
        """Return the newest intact checkpoint; None where there is no checkpoint at all.

        Raises:
            SaveAvsError: when all are damaged, or the newest intact one is of another version or was written
                with frozen weights of another checksum.
        """
        files = self.files()
        for path in files:
            try:
                state = read_state(path)
            except DamagedCheckpointError as error:
                self.on_message(f"{error}; skipped")
                continue
            _check_origin(path, state, frozen)
            return state
        if files:
            raise SaveAvsError(
                f"{self.folder}: all checkpoints are damaged; delete them to restart this stage"
            )
        return None


class BestCheckpoint:
    """The weights of a stage with the highest ``monitor``, a validation metric, in ``best.pt``."""

    def __init__(self, folder: Path, monitor: str | None) -> None:
        self.path, self.monitor = folder / BEST, monitor
        self.value, self.step = -math.inf, 0

    def improves(self, metrics: Mapping[str, float]) -> bool:
        """Return whether a validation is better than all before."""
        return self.monitor is not None and metrics[self.monitor] > self.value

    def save_fn(self, step: int, metrics: Mapping[str, float], modules: nn.Module) -> Callable[[], None]:
        """Take the current weights as the best; returns the function that writes them, for the main process.

        A collective where weights are sharded, so every process must call it.
        """
        if self.monitor is None:
            raise ValueError("no metric is monitored")
        self.value, self.step = metrics[self.monitor], step
        state = {"step": step, "metrics": dict(metrics), "modules": trained_state(modules)}
        return lambda: write_state(self.path, state)

    def restore(self, modules: nn.Module) -> dict[str, float]:
        """Load the best weights into the model; returns their metrics."""
        state = read_state(self.path)
        load_trained_state(modules, state["modules"])
        return state["metrics"]

    def state_dict(self) -> tuple[float, int]:
        """Return the best value and its step."""
        return self.value, self.step

    def load_state_dict(self, state: Any) -> None:
        """Restore them."""
        self.value, self.step = state


def trained_state(modules: nn.Module) -> dict[str, Tensor]:
    """Return the state without the frozen parameters, in full and on the CPU: trained ones and all buffers.

    A collective where weights are sharded, so every process must call it.
    """
    return {name: full_tensor(value) for name, value in _trained(modules).items()}


def load_trained_state(modules: nn.Module, state: dict[str, Tensor]) -> None:
    """Restore a ``trained_state``.

    Raises:
        RuntimeError: when it is of other modules, or other parameters are trained.
    """
    own = _trained(modules)
    if own.keys() != state.keys():
        names = ", ".join(sorted(own.keys() ^ state.keys())[:3])
        raise RuntimeError(f"the saved and the current model train different weights: {names}")
    for name, value in state.items():
        copy_into(own[name], value)


def frozen_checksum(modules: nn.Module) -> int:
    """Return a checksum of all frozen parameters."""
    return sum(checksum(p) for p in _frozen(modules).values())


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and numbers with a checksum of every part; the file is complete or absent."""
    with atomic_path(path) as tmp, tmp.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch's writer wraps what the file raised
            raise _os_error(error) or error from None
        file.flush()
        os.fsync(file.fileno())  # the content must reach the disk before the rename does


def read_state(path: Path) -> dict[str, Any]:
    """Read what ``write_state`` wrote; a DamagedCheckpointError if it was cut short or changed since."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()  # compares every part with its CRC-32
        if broken is None:
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a torn file may raise anything
        raise DamagedCheckpointError(f"{path}: damaged or cut short") from error
    raise DamagedCheckpointError(f"{path}: damaged")


def _check_origin(path: Path, state: Any, frozen: int) -> None:
    """Raise an error for a checkpoint of another version, or with frozen weights of another checksum."""
    if not isinstance(state, dict) or not state.keys() >= KEYS:
        raise SaveAvsError(
            f"{path}: not a checkpoint of this version; delete it to restart this stage, or resume with the "
            "version that wrote it"
        )
    if state["frozen_checksum"] != frozen:
        raise SaveAvsError(
            f"{path} was saved with different frozen weights; use the same pretrained weights and init_from, "
            "or delete its folder to restart"
        )


def _trained(modules: nn.Module) -> dict[str, Tensor]:
    frozen = _frozen(modules)
    return {name: value for name, value in modules.state_dict().items() if name not in frozen}


def _frozen(modules: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in modules.named_parameters() if not p.requires_grad}


def _os_error(error: BaseException | None) -> OSError | None:
    """Return the error of the operating system behind another."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error
