"""What a run writes down to go on from: all that moves, and a sum of what stands still."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from save_avs._files import atomic_path
from save_avs.errors import SaveAvsError
from save_avs.models.pretrained_delta import checksum
from save_avs.training.dtensor import put, whole

KEYS = {"step", "frozen", "modules", "average", "optimizers", "scaler", "best", "validated", "journal"}
PATTERN = re.compile(r"checkpoint-(\d{8})\.pt")


class DamagedError(SaveAvsError):
    """A checkpoint that was cut short, or changed after it was written."""


class Checkpoints:
    """The checkpoints of a stage: the newest ``keep`` are there, each whole or not at all.

    Args:
        folder: of the stage.
        keep: how many.
        say: receives a line about a checkpoint that is passed over.
    """

    def __init__(self, folder: Path, keep: int, say: Callable[[str], None]) -> None:
        self.folder, self.keep, self.say = folder, keep, say

    def files(self) -> list[Path]:
        """Those there are, the newest first."""
        found = (p for p in self.folder.glob("checkpoint-*.pt") if PATTERN.fullmatch(p.name))
        return sorted(found, reverse=True)

    def save(self, state: dict[str, Any]) -> None:
        """Write a checkpoint, then drop those that are too old.

        Raises:
            SaveAvsError: when there is no room; earlier ones stay as they are.
        """
        path = self.folder / f"checkpoint-{state['step']:08}.pt"
        try:
            write_state(path, state)
        except OSError as error:
            before = self.files()
            kept = f"{before[0].name} is intact" if before else "there is none before it"
            raise SaveAvsError(
                f"{path}: {error.strerror}: the checkpoint of step {state['step']} was not written, {kept}; "
                "make room and run the same command again to go on"
            ) from error
        for old in self.files()[self.keep :]:
            old.unlink()

    def load(self, frozen: int) -> dict[str, Any] | None:
        """The newest checkpoint that is whole; None where there is none at all.

        Raises:
            SaveAvsError: when every one is damaged, or the newest whole one is of another version or was
                written beside frozen weights of another sum.
        """
        files = self.files()
        for path in files:
            try:
                return read_checkpoint(path, frozen)
            except DamagedError as error:
                self.say(f"{error}; passed over")
        if files:
            raise SaveAvsError(
                f"{self.folder}: no checkpoint is whole; remove them to begin this stage again"
            )
        return None


def moving_state(modules: nn.Module) -> dict[str, Tensor]:
    """The state without the frozen parameters, on the CPU: trained ones and every buffer, whole.

    Where weights are spread over processes, every one of them must ask.
    """
    return {name: whole(value) for name, value in _moving(modules).items()}


def load_moving(modules: nn.Module, state: dict[str, Tensor]) -> None:
    """Put back what ``moving_state`` took.

    Raises:
        RuntimeError: when it is of other modules, or others of them are trained.
    """
    own = _moving(modules)
    if own.keys() != state.keys():
        differing = sorted(own.keys() ^ state.keys())
        raise RuntimeError(f"other weights are trained than were saved: {', '.join(differing[:3])}")
    for name, value in state.items():
        put(own[name], value)


def frozen_sum(modules: nn.Module) -> int:
    """A number that changes when any frozen parameter is another."""
    return sum(checksum(p) for p in _frozen(modules).values())


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and numbers; the file appears whole or not at all, with a checksum of every part.

    Raises:
        OSError: when it cannot be written.
    """
    with atomic_path(path) as part, part.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch's writer wraps what the file raised
            raise _cause(error) or error from None
        file.flush()
        os.fsync(file.fileno())  # the rename must not reach the disk before the content


def read_state(path: Path) -> dict[str, Any]:
    """Read what ``write_state`` wrote.

    Raises:
        DamagedError: when the file was cut short or changed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()  # compares every part with its CRC-32
        if broken is None:
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a torn file may raise anything
        raise DamagedError(f"{path}: damaged or cut short") from error
    raise DamagedError(f"{path}: damaged")


def read_checkpoint(path: Path, frozen: int) -> dict[str, Any]:
    """Read a checkpoint written beside frozen weights of this sum.

    Raises:
        DamagedError: when the file was cut short or changed.
        SaveAvsError: when it is of another version, or was written beside other frozen weights.
    """
    state = read_state(path)
    if not isinstance(state, dict) or not state.keys() >= KEYS:
        raise SaveAvsError(
            f"{path}: no checkpoint of this version; remove it to begin this stage again, or go on with the "
            "version that wrote it"
        )
    if state["frozen"] != frozen:
        raise SaveAvsError(
            f"{path} belongs to other frozen weights than this recipe has: give the bases and the start it "
            "was begun with, or remove its folder to begin again"
        )
    return state


def _moving(modules: nn.Module) -> dict[str, Tensor]:
    frozen = _frozen(modules)
    return {name: value for name, value in modules.state_dict().items() if name not in frozen}


def _frozen(modules: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in modules.named_parameters() if not p.requires_grad}


def _cause(error: BaseException | None) -> OSError | None:
    """The error of the operating system behind another."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error
