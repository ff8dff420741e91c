"""Specs of benchmark subsets: tables, paths, official counts."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from save_avs.datasets.image_and_video_clips import ClipEntry
from save_avs.datasets.stored_files import exists
from save_avs.errors import UsageError

SPLITS = ("train", "val", "test")

# (folder, split, seed) to the clips of the split; the seed is for random audio
Entries = Callable[[PurePath, str, int], list[ClipEntry]]

# YouTube video ids have 11 characters; a clip's name appends where it was cut.
_CUT = re.compile(r"(.{11})(?:_\d+){1,2}")


@dataclass(frozen=True)
class DatasetSpec:
    """A benchmark subset."""

    name: str  # for ``open_dataset`` and ``--data``
    title: str  # full name
    folders: tuple[str, ...]  # folders below a root that may hold it, the archive's own layout first
    tables: tuple[str, ...]  # its tables; the first one marks the folder
    official_counts: Mapping[str, int]  # clips in each split of the official release
    entries: Entries
    classes: Callable[[PurePath], tuple[str, ...]] = lambda _: ()  # folder to class names; none for masks
    has_random_audio: bool = False  # whether clips of ``train`` change with the seed
    expected: str = ""  # files that mark the folder, where that is not a table

    def find(self, root: PurePath) -> PurePath | None:
        """Find the folder at or below ``root`` that holds the subset."""
        candidates = (root, *(root / name for name in self.folders))
        return next((folder for folder in candidates if exists(folder / self.tables[0])), None)

    def locate(self, root: PurePath) -> PurePath:
        """Return the folder at or below ``root`` that holds the subset; a UsageError if there is none."""
        if isinstance(root, Path) and not root.is_dir():
            raise UsageError(f"{root}: no such folder; give the one into which the archives were unpacked")
        folder = self.find(root)
        if folder is None:
            expected = self.expected or " or ".join(
                [self.tables[0], *(f"{name}/{self.tables[0]}" for name in self.folders)]
            )
            unlisted = not self.tables and str(root).startswith("http")
            hint = ", and a web server that lists its folders" if unlisted else ""
            raise UsageError(f"{self.title} not found in {root}: expected {expected}{hint}")
        return folder


def source_video(name: str) -> str:
    """Return the video that a clip was cut from, by the clip's name: ``fvpYLXtQHQ0_1`` -> ``fvpYLXtQHQ0``."""
    cut = _CUT.fullmatch(name)
    return cut[1] if cut else name
