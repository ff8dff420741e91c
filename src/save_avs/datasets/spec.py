"""What tells one benchmark subset from another: a table, path functions, counts. No loader of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from save_avs.datasets.clips import ClipEntry
from save_avs.errors import UsageError

SPLITS = ("train", "val", "test")
WITHIN_S = 15 / 16  # where in its second a benchmark's frame is taken

# A source video's name on YouTube has 11 characters; a clip's name goes on with where it was cut.
_CUT = re.compile(r"(.{11})(?:_\d+){1,2}")


def _no_classes(_: Path) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class DatasetSpec:
    """A benchmark subset.

    Attributes:
        name: what ``open_dataset`` and ``--data`` call it.
        title: what people call it.
        homes: folders under a root in which it may lie, the archive's own way first.
        tables: files that it has in its home; where the first lies, the subset is.
        counts: clips in each split of the official release.
        entries: (home, split, seed) to the split's clips; the seed is for what the benchmark draws at random.
        classes: home to the names of the labels; none for masks.
        has_random_audio: whether clips of ``train`` are other ones under another seed.
    """

    name: str
    title: str
    homes: tuple[str, ...]
    tables: tuple[str, ...]
    counts: Mapping[str, int]
    entries: Callable[[Path, str, int], list[ClipEntry]]
    classes: Callable[[Path], tuple[str, ...]] = field(default=_no_classes)
    has_random_audio: bool = False

    def find(self, root: Path) -> Path | None:
        """The folder under ``root`` that holds the subset, or None."""
        for home in (root, *(root / name for name in self.homes)):
            if (home / self.tables[0]).exists():
                return home
        return None

    def home(self, root: Path) -> Path:
        """The folder under ``root`` that holds the subset.

        Raises:
            UsageError: when there is none.
        """
        if not root.is_dir():
            raise UsageError(f"{root}: no such folder; give the one into which the archives were unpacked")
        home = self.find(root)
        if home is None:
            places = " or ".join([self.tables[0], *(f"{name}/{self.tables[0]}" for name in self.homes)])
            raise UsageError(f"{root} holds no {self.title}: there is no {places} in it")
        return home


def source_video(name: str) -> str:
    """The video that a clip was cut from, by the clip's name: ``fvpYLXtQHQ0_1`` is of ``fvpYLXtQHQ0``."""
    cut = _CUT.fullmatch(name)
    return cut[1] if cut else name
