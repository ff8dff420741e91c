"""The newest checkpoints of a stage and its best weights, and what of a model they hold."""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from save_avs.errors import SaveAvsError
from save_avs.models.pretrained import checksum
from save_avs.training.checkpoint_files import (
    DamagedCheckpointError,
    ShardedSave,
    delete,
    is_complete,
    read_numbers,
    read_tensors,
    save_state,
)
from save_avs.training.distributed import DistributedContext, copy_into, full_tensor

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
PATTERN = re.compile(r"checkpoint-(\d{8})(\.pt)?")
BEST = "best"


class CheckpointManager:
    """The newest ``keep`` checkpoints of a stage, each complete or absent."""

    def __init__(
        self, folder: Path, keep: int, on_message: Callable[[str], None], distributed: DistributedContext
    ) -> None:
        self.folder, self.keep, self.on_message, self.distributed = folder, keep, on_message, distributed
        self._saving: ShardedSave | None = None

    def files(self) -> list[Path]:
        """Return the complete checkpoints, files and folders of shards, newest first."""
        found = (path for path in self.folder.glob("checkpoint-*") if PATTERN.fullmatch(path.name))
        return sorted(filter(is_complete, found), reverse=True)

    def save(self, state: dict[str, Any]) -> None:
        """Write a checkpoint, then delete the oldest ones; every process must call it.

        Shards are written while training continues, until the next ``save`` or ``wait``. A SaveAvsError if
        it, or the one before, cannot be written; earlier ones stay as they are.
        """
        self.wait()
        path = self.folder / f"checkpoint-{state['step']:08}"
        try:
            self._saving = save_state(path, state, self.distributed)
        except OSError as error:
            raise self._not_written(path, error) from error
        if self._saving is None:
            self._delete_oldest()

    def wait(self) -> None:
        """Wait until the last checkpoint is complete; raises what ``save`` does."""
        saving, self._saving = self._saving, None
        if saving is not None:
            try:
                saving.wait()
            except OSError as error:
                raise self._not_written(saving.folder, error) from error
            self._delete_oldest()

    def load(self, frozen: int, own: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """Return the newest intact checkpoint; None where there is no checkpoint at all.

        ``own`` returns the tensors that shards are read into. A SaveAvsError if all are damaged, or the
        newest intact one is of another version or was written with frozen weights of another checksum than
        ``frozen``.
        """
        files = self.files()
        for path in files:
            try:
                state = read_numbers(path)
                _check_origin(path, state, frozen)
                return read_tensors(path, state, own, self.distributed)
            except DamagedCheckpointError as error:
                self.on_message(f"{error}; skipped")
        if files:
            raise SaveAvsError(
                f"{self.folder}: all checkpoints are damaged; delete them to restart this stage"
            )
        return None

    def delete_incomplete(self) -> None:
        """Delete the folders that a killed run left."""
        for path in self.folder.glob("*-*"):
            if path.is_dir() and not is_complete(path):
                delete(path)

    def _delete_oldest(self) -> None:
        if self.distributed.is_main:
            for old in self.files()[self.keep :]:
                delete(old)

    def _not_written(self, path: Path, error: OSError) -> SaveAvsError:
        earlier = self.files()
        intact = f"{earlier[0].name} is intact" if earlier else "there is no earlier one"
        return SaveAvsError(
            f"{path}: {error.strerror}: the checkpoint was not written, {intact}; free some space and run "
            "the same command again to resume"
        )


class BestCheckpoint:
    """The weights of a stage with the highest ``monitor``, a validation metric."""

    def __init__(self, folder: Path, monitor: str | None, distributed: DistributedContext) -> None:
        self.folder, self.monitor, self.distributed = folder, monitor, distributed
        self.value, self.step = -math.inf, 0

    def improves(self, metrics: Mapping[str, float]) -> bool:
        """Return whether a validation is better than all before."""
        return self.monitor is not None and metrics[self.monitor] > self.value

    def save(self, step: int, metrics: Mapping[str, float], modules: nn.Module) -> None:
        """Take the current weights as the best; every process must call it.

        A SaveAvsError if they cannot be written.
        """
        if self.monitor is None:
            raise ValueError("no metric is monitored")
        self.value, self.step = metrics[self.monitor], step
        state = {"step": step, "metrics": dict(metrics), "modules": trained_tensors(modules)}
        # shards of two steps never share a folder; a file is replaced at once
        path = self.folder / (f"{BEST}-{step:08}" if self.distributed.sharded else BEST)
        try:
            if saving := save_state(path, state, self.distributed):
                saving.wait()
        except OSError as error:
            raise SaveAvsError(f"{path}: {error.strerror}: the best weights were not written") from error
        if self.distributed.is_main:
            for other in self._files():
                if other.stem != path.name:
                    delete(other)

    def restore(self, modules: nn.Module) -> dict[str, float]:
        """Load the best weights into the model; returns their metrics."""
        found = {path: read_numbers(path) for path in self._files()}
        path, state = max(found.items(), key=lambda item: item[1]["step"])
        state = read_tensors(path, state, lambda: {"modules": trained_tensors(modules)}, self.distributed)
        load_trained_state(modules, state["modules"])
        return state["metrics"]

    def _files(self) -> list[Path]:
        return [path for path in self.folder.glob(f"{BEST}*") if is_complete(path)]


def trained_state(modules: nn.Module) -> dict[str, Tensor]:
    """Return the state without the frozen parameters, in full and on the CPU: trained ones and all buffers.

    A collective where weights are sharded, so every process must call it.
    """
    return {name: full_tensor(value) for name, value in trained_tensors(modules).items()}


def trained_tensors(modules: nn.Module) -> dict[str, Tensor]:
    """Return the same tensors as the model holds them: where it is sharded, the shards of this process."""
    frozen = _frozen(modules)
    return {name: value for name, value in modules.state_dict().items() if name not in frozen}


def load_trained_state(modules: nn.Module, state: dict[str, Tensor]) -> None:
    """Restore a ``trained_state``; a RuntimeError if it is of other modules or trained parameters."""
    own = trained_tensors(modules)
    if own.keys() != state.keys():
        names = ", ".join(sorted(own.keys() ^ state.keys())[:3])
        raise RuntimeError(f"the saved and the current model train different weights: {names}")
    for name, value in state.items():
        copy_into(own[name], value)


def frozen_checksum(modules: nn.Module) -> int:
    """Return a checksum of all frozen parameters."""
    return sum(checksum(p) for p in _frozen(modules).values())


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


def _frozen(modules: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in modules.named_parameters() if not p.requires_grad}
