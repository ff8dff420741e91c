"""Which items of a step each process takes, in what parts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from save_avs.errors import UsageError


def parts_of(items: range, count: int) -> list[range]:
    """Cut a run of items into parts that differ in length by one at most."""
    edges = np.linspace(0, len(items), count + 1).round().astype(int)
    return [items[a:b] for a, b in pairwise(edges)]


class StepParts:
    """For each step from ``start``, the items of each of this process's parts: a batch sampler.

    A step takes the same items however many processes and parts share it. Part p of process r is the
    (p x processes + r)-th of the step.

    Args:
        start, steps: the first step, and how many there are in all.
        items: of a step.
        parts: that each process goes through before the weights move.
        rank, processes: whose parts, of how many.

    Raises:
        UsageError: when a step has fewer items than parts.
    """

    def __init__(self, start: int, steps: int, *, items: int, parts: int, rank: int, processes: int) -> None:
        if items < parts * processes:
            raise UsageError(
                f"a step of {items} items cannot be shared by {processes} processes in {parts} parts each: "
                "enlarge the batch, or lower accumulate"
            )
        self.start, self.steps, self.items = start, steps, items
        self.parts, self.rank, self.processes = parts, rank, processes

    def __len__(self) -> int:
        return (self.steps - self.start) * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.start, self.steps):
            shares = parts_of(range(step * self.items, (step + 1) * self.items), self.parts * self.processes)
            for part in range(self.parts):
                yield list(shares[part * self.processes + self.rank])
