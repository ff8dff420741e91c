"""Looking over a data set on disk: what is there, missing, broken, doubtful. Nothing is changed."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from save_avs.datasets.clips import ClipDataset, ClipEntry, ClipFile
from save_avs.datasets.registry import SPECS, open_dataset, resolve_spec
from save_avs.datasets.shards.index import read_index
from save_avs.datasets.shards.spec import holds_shards
from save_avs.datasets.spec import SPLITS, DatasetSpec
from save_avs.datasets.storage import StoredFile
from save_avs.errors import DataError, UsageError
from save_avs.synthesis.connected_components import component_areas
from save_avs.types import U8

# Pieces of at most so many pixels of so many are stray, where the annotation has larger ones.
SPECK, OF = 8, 224 * 224
_THREADS = min(8, 2 * (os.cpu_count() or 1))

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FileProblem:
    """What is wrong with a file.

    Attributes:
        path: the file; in shards, the shard and the member in it.
        kind: ``missing`` or ``broken``.
        reason: one line.
    """

    path: StoredFile
    kind: str
    reason: str


@dataclass
class SplitReport:
    """What was found in one split.

    Attributes:
        split: its name.
        clips: that its table lists.
        official: clips in the official release; None where that is not known.
        files: looked at.
        problems: missing and broken files.
        computed: log-mel files that are missing; they are computed from the sound.
        stray_pixels: annotations with stray pixels, and how many pieces each has of them.
    """

    split: str
    clips: int = 0
    official: int | None = None
    files: int = 0
    problems: list[FileProblem] = field(default_factory=list)
    computed: int = 0
    stray_pixels: list[tuple[StoredFile, int]] = field(default_factory=list)


@dataclass
class DatasetReport:
    """What was found of one data set.

    Attributes:
        name: of the data set.
        title: what people call it.
        home: the folder it lies in.
        tables: what is wrong with its tables.
        splits: what was found in each.
        leaks: source videos with clips in more than one split: how many in which.
        opened: the clips of each split that could be opened.
    """

    name: str
    title: str
    home: Path
    tables: list[FileProblem] = field(default_factory=list)
    splits: list[SplitReport] = field(default_factory=list)
    leaks: dict[str, dict[str, int]] = field(default_factory=dict)
    opened: list[ClipDataset] = field(default_factory=list)

    @property
    def problems(self) -> list[FileProblem]:
        """All missing and broken files, each once."""
        in_splits = [finding for split in self.splits for finding in split.problems]
        return list(dict.fromkeys([*self.tables, *in_splits]))

    @property
    def clips(self) -> int:
        """Clips in all splits."""
        return sum(split.clips for split in self.splits)


def find_datasets(root: Path) -> list[DatasetSpec]:
    """The data sets that lie under a folder.

    Raises:
        UsageError: when there is no such folder, or no data set in it.
    """
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder; give the one into which the archives were unpacked")
    if holds_shards(root):
        return [resolve_spec(read_index(root).name, root)]
    found = [spec for spec in SPECS.values() if spec.find(root) is not None]
    if not found:
        raise UsageError(
            f"{root}: no data set of {', '.join(SPECS)} lies here; docs/reference/datasets.md shows how they lie"
        )
    return found


class DatasetChecker:
    """Checks data sets; a file that several of them share is read once.

    Args:
        progress: called after each clip with how many are done of the split's.
    """

    def __init__(self, progress: Callable[[str, int, int], None] = lambda _, __, ___: None) -> None:
        self._progress = progress
        self._known: dict[StoredFile, tuple[FileProblem | None, int]] = {}

    def check(self, spec: DatasetSpec, root: Path) -> DatasetReport:
        """Look over all splits of a data set.

        Raises:
            UsageError: when the data set is not there.
        """
        report = DatasetReport(spec.name, spec.title, spec.home(root))
        report.tables += _missing_tables(spec, report.home)
        for split in SPLITS:
            part = SplitReport(split, official=spec.counts.get(split))
            report.splits.append(part)
            try:
                clips = open_dataset(spec.name, root, split)
            except UsageError:
                continue  # a folder of films need not have every split
            except DataError as error:
                finding = _finding(error, report.home)
                report.tables += [finding] if finding not in report.tables else []
                continue
            report.opened.append(clips)
            part.clips = len(clips)
            self._look_at(clips, part)
        report.leaks = leaks(report.opened)
        return report

    def _look_at(self, clips: ClipDataset, report: SplitReport) -> None:
        pool = ThreadPoolExecutor(_THREADS)
        try:
            for done, _ in enumerate(pool.map(self._read, clips.entries), start=1):
                self._progress(f"{clips.name} {clips.split}", done, len(clips))
        finally:
            pool.shutdown(cancel_futures=True)
        for entry in clips.entries:
            for part in entry.parts():
                finding, stray_pixels = self._known[part.path]
                report.files += 1
                if finding is not None and part.kind == "log_mel" and finding.kind == "missing":
                    report.computed += 1
                elif finding is not None:
                    report.problems.append(finding)
                if stray_pixels:
                    report.stray_pixels.append((part.path, stray_pixels))

    def _read(self, entry: ClipEntry) -> None:
        for part in entry.parts():
            if part.path not in self._known:
                self._known[part.path] = _inspect(part)


def _inspect(part: ClipFile) -> tuple[FileProblem | None, int]:
    """What is wrong with a file, and how many stray pieces its annotation has."""
    try:
        value = part.read(part.path)
    except DataError as error:
        return _finding(error, part.path), 0
    return None, count_stray_pixels(value) if part.kind == "truth" else 0


def _finding(error: DataError, path: StoredFile) -> FileProblem:
    text = str(error)
    if text.startswith(f"{path}: "):
        reason = text.removeprefix(f"{path}: ")
    else:  # another file than the one that was asked for
        named, _, reason = text.partition(": ")
        path = Path(named)
    return FileProblem(path, "missing" if reason == "missing" else "broken", reason)


def _missing_tables(spec: DatasetSpec, home: Path) -> list[FileProblem]:
    return [
        FileProblem(home / table, "missing", "missing")
        for table in dict.fromkeys(spec.tables)
        if not (home / table).exists()
    ]


def count_stray_pixels(truth: U8) -> int:
    """How many stray pieces an annotation, u8 [H,W], has: tiny ones of a class that has larger ones too."""
    count = 0
    for value in np.unique(truth[truth > 0]):
        areas = component_areas(truth == value)
        tiny = areas * OF <= SPECK * truth.size
        count += int(tiny.sum()) if not tiny.all() else 0
    return count


def leaks(splits: list[ClipDataset]) -> dict[str, dict[str, int]]:
    """Source videos that have clips in more than one split: how many in which."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for clips in splits:
        for i in range(len(clips)):
            seen[clips.metadata(i).source][clips.split] += 1
    return {source: dict(counts) for source, counts in sorted(seen.items()) if len(counts) > 1}
