"""Check data sets on disk: missing and broken files, counts, leaks between splits, stray pixels.

Nothing is changed.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Literal

import numpy as np

from save_avs._rle import find_component_runs
from save_avs.datasets.image_and_video_clips import ClipDataset, ClipEntry, ClipFile
from save_avs.datasets.registry import SPECS, open_dataset, resolve_spec
from save_avs.datasets.shards import has_shards, read_index
from save_avs.datasets.spec import SPLITS, DatasetSpec
from save_avs.datasets.stored_files import StoredFile, data_path, exists
from save_avs.errors import DataError, UsageError
from save_avs.types import U8

# Components of at most so many pixels in an image of so many are stray, next to larger ones.
STRAY_PIXELS, IMAGE_PIXELS = 8, 224 * 224
_THREADS = min(8, 2 * (os.cpu_count() or 1))


@dataclass(frozen=True)
class FileProblem:
    """Problem of a file, with its reason in one line."""

    path: StoredFile
    kind: Literal["missing", "broken"]
    reason: str


@dataclass
class SplitReport:
    """Findings in one split."""

    split: str
    clips: int = 0  # listed in its table
    official: int | None = None  # clips in the official release; None where that is not known
    files: int = 0  # checked
    problems: list[FileProblem] = field(default_factory=list)
    stray_pixels: list[tuple[StoredFile, int]] = field(default_factory=list)  # annotation, components


@dataclass
class DatasetReport:
    """Findings in one data set."""

    name: str
    title: str
    folder: PurePath
    table_problems: list[FileProblem] = field(default_factory=list)
    splits: list[SplitReport] = field(default_factory=list)
    leaks: dict[str, dict[str, int]] = field(default_factory=dict)  # as ``find_leaks`` returns them
    opened: list[ClipDataset] = field(default_factory=list)  # splits that could be opened

    @property
    def problems(self) -> list[FileProblem]:
        """All missing and broken files, each once."""
        in_splits = [problem for split in self.splits for problem in split.problems]
        return list(dict.fromkeys([*self.table_problems, *in_splits]))

    @property
    def clips(self) -> int:
        """Clips in all splits."""
        return sum(split.clips for split in self.splits)


def find_datasets(root: PurePath) -> list[DatasetSpec]:
    """Find the datasets in a folder; a UsageError if there is no such folder, or no dataset in it."""
    if isinstance(root, Path) and not root.is_dir():
        raise UsageError(f"{root}: no such folder; give the one into which the archives were unpacked")
    if has_shards(root):
        return [resolve_spec(read_index(root).name, root)]
    found = [spec for spec in SPECS.values() if spec.find(root) is not None]
    if not found:
        raise UsageError(
            f"No known data set found in {root} (looked for: {', '.join(SPECS)}). "
            "See docs/reference/datasets.md for the expected layouts."
        )
    return found


class DatasetChecker:
    """Checks datasets; a file that several of them share is read once.

    ``progress`` is called after each clip with the split, clips done and clips in all.
    """

    def __init__(self, progress: Callable[[str, int, int], None] = lambda _, __, ___: None) -> None:
        self._progress = progress
        self._checked: dict[StoredFile, tuple[FileProblem | None, int]] = {}

    def check(self, spec: DatasetSpec, root: PurePath) -> DatasetReport:
        """Check all splits of a data set."""
        report = DatasetReport(spec.name, spec.title, spec.locate(root))
        tables = [report.folder / table for table in dict.fromkeys(spec.tables)]
        report.table_problems = [FileProblem(p, "missing", "missing") for p in tables if not exists(p)]
        for name in SPLITS:
            split = SplitReport(name, official=spec.official_counts.get(name))
            report.splits.append(split)
            try:
                clips = open_dataset(spec.name, root, name)
            except UsageError:
                continue  # a folder of videos need not have every split
            except DataError as error:
                problem = _problem(error, report.folder)
                report.table_problems += [problem] if problem not in report.table_problems else []
                continue
            report.opened.append(clips)
            self._check_split(clips, split)
        report.leaks = find_leaks(report.opened)
        return report

    def _check_split(self, clips: ClipDataset, report: SplitReport) -> None:
        pool = ThreadPoolExecutor(_THREADS)
        try:
            for done, _ in enumerate(pool.map(self._check_clip, clips.entries), start=1):
                self._progress(f"{clips.name} {clips.split}", done, len(clips))
        finally:
            pool.shutdown(cancel_futures=True)
        report.clips = len(clips)
        for file in (file for entry in clips.entries for file in entry.files()):
            problem, stray = self._checked[file.path]
            report.files += 1
            report.problems += [problem] if problem else []
            report.stray_pixels += [(file.path, stray)] if stray else []

    def _check_clip(self, entry: ClipEntry) -> None:
        for file in entry.files():
            if file.path not in self._checked:
                self._checked[file.path] = _check_file(file)


def _check_file(file: ClipFile) -> tuple[FileProblem | None, int]:
    """Check a file; return its problem and the stray components of an annotation."""
    try:
        value = file.read(file.path)
    except DataError as error:
        return _problem(error, file.path), 0
    return None, count_stray_components(value) if file.kind == "annotation" else 0


def _problem(error: DataError, path: StoredFile) -> FileProblem:
    text = str(error)
    if text.startswith(f"{path}: "):
        reason = text.removeprefix(f"{path}: ")
    else:  # the message names another file
        named, _, reason = text.partition(": ")
        path = data_path(named)
    return FileProblem(path, "missing" if reason == "missing" else "broken", reason)


def count_stray_components(annotation: U8) -> int:
    """Count the tiny components of classes that also have larger ones, in an annotation u8 [H,W]."""
    count = 0
    for value in np.unique(annotation[annotation > 0]):
        starts, ends, component = find_component_runs(annotation == value)
        areas = np.bincount(component, weights=ends - starts)
        tiny = areas * IMAGE_PIXELS <= STRAY_PIXELS * annotation.size
        count += int(tiny.sum()) if not tiny.all() else 0
    return count


def find_leaks(splits: Sequence[ClipDataset]) -> dict[str, dict[str, int]]:
    """Return source videos that have clips in more than one split: how many in each."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for clips in splits:
        for i in range(len(clips)):
            counts[clips.metadata(i).source][clips.split] += 1
    return {source: dict(by_split) for source, by_split in sorted(counts.items()) if len(by_split) > 1}
