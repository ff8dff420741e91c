"""Samples that cannot be read: reported, and stood in for, or the end of the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from save_avs.errors import DataError
from save_avs.training.collate import each_tensor

STAND_INS = 10  # tried in a row before a data set is held to be broken as a whole


class Bad(NamedTuple):
    """An item of a stream that could not be read, and why: the reason names the file."""

    item: int
    reason: str


class Drawn(NamedTuple):
    """An item's sample or its stand-in's, None where there is none, and what could not be read for it."""

    item: int
    sample: Any
    bad: tuple[Bad, ...]


class Guarded:
    """A stream whose unreadable items come out as such: an error raised in a worker loses its one line.

    Args:
        stream: raises DataError for an item that cannot be read.
        stand_ins: how many of the items after it are tried in its place.
    """

    def __init__(self, stream: Any, stand_ins: int = 0) -> None:
        self.stream, self.stand_ins = stream, stand_ins

    def __getitem__(self, i: int) -> Drawn:
        bad: list[Bad] = []
        for k in range(i, i + 1 + self.stand_ins):
            try:
                return Drawn(i, self.stream[k], tuple(bad))
            except DataError as error:
                bad.append(Bad(k, str(error)))
        return Drawn(i, None, tuple(bad))


class Portion(NamedTuple):
    """What one part of a step computes on: a batch, None where no item of it could be read."""

    batch: Any
    items: tuple[int, ...]
    bad: tuple[Bad, ...]

    def pin_memory(self) -> Portion:
        """The same in page-locked memory, from where a GPU fetches it by itself; a DataLoader asks for it."""
        return self._replace(batch=each_tensor(self.batch, lambda tensor: tensor.pin_memory()))


class Collate:
    """Drawn items to a portion; a class, so that it can be sent to a worker."""

    def __init__(self, collate: Callable[[Any], Any]) -> None:
        self.collate = collate

    def __call__(self, drawn: Sequence[Drawn]) -> Portion:
        """Collate those samples that there are."""
        samples = [d.sample for d in drawn if d.sample is not None]
        return Portion(
            batch=self.collate(samples) if samples else None,
            items=tuple(d.item for d in drawn),
            bad=tuple(bad for d in drawn for bad in d.bad),
        )
