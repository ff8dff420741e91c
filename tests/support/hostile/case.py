"""One hostile or broken input: how it is made, and what is asked about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Make = Callable[[Path], Path]  # an empty folder to what is in it that is asked about


@dataclass(frozen=True)
class Case:
    """What is tried.

    Attributes:
        name: ``room/what``; unique.
        make: writes it into an empty folder; returns what is asked about.
        ask: that, and an output folder that is not there, to the arguments of ``save-avs``.
        codes: exit codes that are right.
        quick: whether it is among those that every change is checked by.
    """

    name: str
    make: Make
    ask: Callable[[Path, Path], list[str]]
    codes: tuple[int, ...]
    quick: bool = False

    @property
    def room(self) -> str:
        """What kind of input it is."""
        return self.name.partition("/")[0]


def written(name: str, content: bytes) -> Make:
    """A file of a name."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return make


def every(cases: Iterator[Case], step: int) -> Iterator[Case]:
    """The same cases, of which each ``step``-th is a quick one."""
    for number, case in enumerate(cases):
        yield Case(case.name, case.make, case.ask, case.codes, case.quick or number % step == 0)
