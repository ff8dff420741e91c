"""Where batches come from: worker processes that read, compose and collate ahead of the trainer."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader

from save_avs.training.bad_sample_guard import STAND_INS, Collate, Guarded, Portion
from save_avs.training.distributed import DistributedContext
from save_avs.training.distributed_sampler import StepParts, parts_of
from save_avs.training.signals import ignore_in_worker
from save_avs.training.tasks import Task

AHEAD = 6  # batches that a worker may be ahead
Item = TypeVar("Item")


class Feed:
    """The share of a task's data that a process has.

    Args:
        task: whose streams are read.
        processes: that share a step, and a validation.
        workers: that read for this process; 0 reads in the process itself.
        parts: of a step, see ``StepParts``.
    """

    def __init__(self, task: Task, processes: DistributedContext, *, workers: int, parts: int) -> None:
        self.task, self.plan, self.processes = task, task.plan, processes
        self.workers, self.parts = workers, parts
        self._kept: list[Portion] = []

    def steps(self, start: int) -> Iterator[tuple[Portion, ...]]:
        """The portions of each step that is left, from ``start`` on.

        Raises:
            UsageError: when a step has too few items to be shared.
        """
        sampler = StepParts(
            start,
            self.plan.steps,
            items=self.plan.items,
            parts=self.parts,
            rank=self.processes.rank,
            processes=self.processes.count,
        )
        stream = Guarded(self.task.stream, stand_ins=STAND_INS)
        return in_groups(self._loader(stream, sampler, self.workers), self.parts)

    def validation(self) -> Iterable[Portion]:
        """The run of the validation that this process has; its items are cut up in their order."""
        mine = parts_of(range(self.plan.val_samples), self.processes.count)[self.processes.rank]
        batches = list(in_groups(mine, self.plan.items))
        stream = Guarded(self.task.validation)
        if not self.plan.keep_validation:
            return self._loader(stream, batches, self.workers)
        if not self._kept:
            self._kept = list(self._loader(stream, batches, workers=0))
        return self._kept

    @property
    def validation_rounds(self) -> int:
        """The most batches that any process has of a validation."""
        each = math.ceil(self.plan.val_samples / self.processes.count)
        return math.ceil(each / self.plan.items)

    def _loader(self, source: Guarded, batches: Any, workers: int) -> DataLoader:
        return DataLoader(
            source,  # pyright: ignore[reportArgumentType]
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=Collate(self.task.collate),
            pin_memory=self.processes.device.type == "cuda",
            prefetch_factor=AHEAD if workers else None,
            worker_init_fn=partial(_begin_worker, os.getpid()),
            generator=torch.Generator(),  # else it draws from the trainer's random state
        )


def in_groups(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """Runs of ``size`` items, the last perhaps shorter (``itertools.batched`` came with Python 3.12)."""
    source = iter(items)
    while group := tuple(islice(source, size)):
        yield group


def _begin_worker(trainer: int, _: int) -> None:
    """A worker draws pictures, and steps aside where the trainer wants the core."""
    if os.getppid() != trainer:  # killed while it made this worker, which would wait for it for ever
        os._exit(1)
    ignore_in_worker()
    torch.set_num_threads(1)
    if hasattr(os, "nice"):
        os.nice(10)
