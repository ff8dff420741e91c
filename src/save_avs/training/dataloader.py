"""Data loading: the micro-batches of each step and process; unreadable samples are reported."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice, pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader

from save_avs.errors import DataError, UsageError
from save_avs.training.collate import map_tensors
from save_avs.training.distributed import DistributedContext
from save_avs.training.signals import ignore_stop_signals
from save_avs.training.tasks import Task

PREFETCH = 6  # batches per worker
MAX_REPLACEMENTS = 10  # tried in a row before a data set counts as broken
T = TypeVar("T")


class BadSample(NamedTuple):
    """An item of a stream that could not be read, and why: the reason names the file."""

    item: int
    reason: str


class MicroBatch(NamedTuple):
    """One part of a step: a batch, None where no item of it could be read."""

    batch: Any
    items: tuple[int, ...]
    bad: tuple[BadSample, ...]

    def pin_memory(self) -> MicroBatch:
        """Return the same in page-locked memory; called by the DataLoader."""
        return self._replace(batch=map_tensors(self.batch, lambda tensor: tensor.pin_memory()))


class MicroBatchReader:
    """Reads micro-batches; unreadable items are reported: an error in a worker would lose its message.

    In place of an item for which the stream raises a DataError, up to ``max_replacements`` of the following
    ones are tried.
    """

    def __init__(self, stream: Any, collate: Callable[[Any], Any], max_replacements: int = 0) -> None:
        self.stream, self.collate, self.max_replacements = stream, collate, max_replacements

    def __getitems__(self, items: Sequence[int]) -> MicroBatch:
        samples: list[Any] = []
        bad: list[BadSample] = []
        for i in items:
            for k in range(i, i + 1 + self.max_replacements):
                try:
                    samples.append(self.stream[k])
                    break
                except DataError as error:
                    bad.append(BadSample(k, str(error)))
        return MicroBatch(self.collate(samples) if samples else None, tuple(items), tuple(bad))


def split_evenly(items: range, count: int) -> list[range]:
    """Split a range into consecutive parts whose lengths differ by one at most."""
    edges = np.linspace(0, len(items), count + 1).round().astype(int)
    return [items[a:b] for a, b in pairwise(edges)]


def micro_batch_items(
    start: int, steps: int, *, items_per_step: int, micro_batches: int, rank: int, world_size: int
) -> Iterator[list[int]]:
    """Yield the items of each micro-batch of a process, from step ``start`` to the last of ``steps``.

    A step takes the same items however many processes and micro-batches share it. Micro-batch m of rank r is
    part m x world_size + r of the step. A UsageError if a step has fewer items than micro-batches.
    """
    if items_per_step < micro_batches * world_size:
        raise UsageError(
            f"a step of {items_per_step} items cannot be split over {world_size} processes with "
            f"{micro_batches} micro-batches each: use a larger batch, or decrease grad_accum_steps"
        )
    for step in range(start, steps):
        items = range(step * items_per_step, (step + 1) * items_per_step)
        parts = split_evenly(items, micro_batches * world_size)
        yield from (list(part) for part in parts[rank::world_size])


class StageDataLoader:
    """Loads the share of a task's data that this process computes."""

    def __init__(
        self, task: Task, distributed: DistributedContext, *, workers: int, micro_batches: int
    ) -> None:
        self.task, self.schedule, self.distributed = task, task.schedule, distributed
        self.workers, self.micro_batches = workers, micro_batches
        self._cached: list[MicroBatch] = []

    def steps(self, start: int) -> Iterator[tuple[MicroBatch, ...]]:
        """Yield the micro-batches of each step from ``start`` on."""
        batches = micro_batch_items(
            start,
            self.schedule.steps,
            items_per_step=self.schedule.items_per_step,
            micro_batches=self.micro_batches,
            rank=self.distributed.rank,
            world_size=self.distributed.world_size,
        )
        reader = MicroBatchReader(self.task.stream, self.task.collate, MAX_REPLACEMENTS)
        return batched(self._loader(reader, batches, self.workers), self.micro_batches)

    def validation(self) -> Iterable[MicroBatch]:
        """Return the validation batches of this process, in the order of the data."""
        share = split_evenly(range(self.schedule.val_samples), self.distributed.world_size)
        batches = list(batched(share[self.distributed.rank], self.schedule.items_per_step))
        reader = MicroBatchReader(self.task.val_stream, self.task.collate)
        if not self.schedule.cache_validation:
            return self._loader(reader, batches, self.workers)
        if not self._cached:
            self._cached = list(self._loader(reader, batches, workers=0))
        return self._cached

    def any_validation_batch(self) -> Any:
        """Return a batch of the first validation sample that can be read, None if none can."""
        samples = self.schedule.val_samples
        return MicroBatchReader(self.task.val_stream, self.task.collate, samples - 1).__getitems__([0]).batch

    @property
    def max_validation_batches(self) -> int:
        """The most validation batches of any process."""
        share = math.ceil(self.schedule.val_samples / self.distributed.world_size)
        return math.ceil(share / self.schedule.items_per_step)

    def _loader(self, reader: MicroBatchReader, batches: Any, workers: int) -> DataLoader:
        return DataLoader(
            reader,  # pyright: ignore[reportArgumentType]
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=MicroBatch._make,  # it is one already: the reader collates the items itself
            pin_memory=self.distributed.device.type == "cuda",
            prefetch_factor=PREFETCH if workers else None,
            worker_init_fn=partial(_init_worker, os.getpid()),
            generator=torch.Generator(),  # else it draws from the trainer's random state
        )


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Yield groups of ``size`` items, the last perhaps shorter (``itertools.batched`` of Python 3.12)."""
    source = iter(items)
    while group := tuple(islice(source, size)):
        yield group


def _init_worker(trainer: int, _: int) -> None:
    """Make a worker single-threaded, and of lower priority than its trainer."""
    if os.getppid() != trainer:  # killed while it started this worker, which would wait for it forever
        os._exit(1)
    ignore_stop_signals()
    torch.set_num_threads(1)
    if hasattr(os, "nice"):
        os.nice(10)
