"""Samples that cannot be read: reported, and stood in for, or the end of the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from save_avs.errors import DataError

STAND_INS = 10  # tried in a row before a data set is held to be broken as a whole


class Bad(NamedTuple):
    """An item of a stream that could not be read, and why: the reason names the file."""

    item: int
    reason: str


class Drawn(NamedTuple):
    """An item, or the one that stands in for it; None where none does. ``bad``: what could not be read."""

    sample: Any
    bad: tuple[Bad, ...]


class Guarded:
    """A stream whose unreadable items come out as such instead of raising: errors lose their line in a worker.

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
                return Drawn(self.stream[k], tuple(bad))
            except DataError as error:
                bad.append(Bad(k, str(error)))
        return Drawn(None, tuple(bad))


class Portion(NamedTuple):
    """What one part of a step computes on: a batch, None where no item of it could be read."""

    batch: Any
    items: tuple[int, ...]
    bad: tuple[Bad, ...]


class Collate:
    """Drawn items to a portion; a class, so that it can be sent to a worker."""

    def __init__(self, collate: Callable[[Any], Any]) -> None:
        self.collate = collate

    def __call__(self, drawn: Sequence[tuple[int, Drawn]]) -> Portion:
        samples = [d.sample for _, d in drawn if d.sample is not None]
        return Portion(
            batch=self.collate(samples) if samples else None,
            items=tuple(i for i, _ in drawn),
            bad=tuple(b for _, d in drawn for b in d.bad),
        )
