"""Input videos and the folders of their results: which videos, which folder each, which ones failed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Any

from save_avs._files import atomic_write
from save_avs._text import path_text, resolved_path_text
from save_avs.errors import UsageError
from save_avs.inference.settings import OVERLAY_FILE, SUMMARY_FILE
from save_avs.video import find_videos

FAILURES_FILE = "failed.jsonl"


def find_input_videos(inputs: Iterable[str | Path]) -> list[Path]:
    """List the videos that files, folders and globs name, in order, without repeats.

    An overlay in an earlier results folder is an input only when it is named as a file.

    Raises:
        UsageError: an input does not exist, or contains no video.
    """
    found: dict[Path, Path] = {}
    for item in inputs:
        paths = find_videos([item])
        if not Path(item).expanduser().is_file():
            paths = [path for path in paths if not _is_result(path)]
            if not paths:
                raise UsageError(f"{item}: contains no video except results of this program")
        for path in paths:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _is_result(path: Path) -> bool:
    return path.name == OVERLAY_FILE and (path.parent / SUMMARY_FILE).is_file()


class ExistingPolicy(Enum):
    """What to do when a video's results folder already exists."""

    REFUSE = "refuse"
    NEXT_FREE = "next free"
    OVERWRITE = "overwrite"
    RESUME = "resume"


@dataclass(frozen=True)
class SegmentationJob:
    """One video and its results folder; ``finished`` when an earlier run has completed it."""

    path: Path
    folder: Path
    finished: bool = False


def plan_jobs(paths: Sequence[Path], directory: Path, existing: ExistingPolicy) -> list[SegmentationJob]:
    """Give each video its folder: ``<stem>``, or ``<stem>-2`` and so on where videos share a stem.

    With ``RESUME`` a folder with the results of this very video counts as finished, and one of another video
    is skipped.

    Raises:
        UsageError: ``directory`` is a file, or with ``REFUSE`` a folder exists.
    """
    for parent in (directory, *directory.parents):
        if parent.exists() and not parent.is_dir():
            raise UsageError(f"{parent} is a file, so it cannot hold results: choose another folder with -o")
    jobs: list[SegmentationJob] = []
    taken: set[Path] = set()
    for path in paths:
        job = _plan_job(path, directory, taken, existing)
        taken.add(job.folder)
        jobs.append(job)
    present = [job.folder for job in jobs if job.folder.exists()]
    if existing is ExistingPolicy.REFUSE and present:
        others = f" and {len(present) - 1} more" if len(present) > 1 else ""
        raise UsageError(
            f"{present[0]}{others} already exists: add --resume (keep finished results) or --overwrite"
        )
    return jobs


def _plan_job(
    path: Path, directory: Path, taken: Collection[Path], existing: ExistingPolicy
) -> SegmentationJob:
    folders = (directory / (path.stem if n == 1 else f"{path.stem}-{n}") for n in count(1))
    for folder in folders:
        if folder in taken or (existing is ExistingPolicy.NEXT_FREE and folder.exists()):
            continue
        if existing is not ExistingPolicy.RESUME or not folder.exists():
            return SegmentationJob(path, folder)
        if _source_of_summary(folder) == resolved_path_text(path):
            return SegmentationJob(path, folder, finished=True)
    raise AssertionError("unreachable: count() does not end")


def _source_of_summary(folder: Path) -> Any:
    """Return the video that a results folder is of; None when it does not say."""
    summary = folder / SUMMARY_FILE
    return _parse_source(summary.read_text(encoding="utf-8")) if summary.is_file() else None


def _parse_source(text: str) -> Any:
    try:
        return json.loads(text)["source"]
    except (ValueError, KeyError, TypeError):
        return None


class FailureLog:
    """``failed.jsonl`` of a results directory: one line per video that failed, with the reason.

    Lines of videos that are tried again are removed; the file exists only while it has lines.
    """

    def __init__(self, directory: Path, retried: Collection[Path]) -> None:
        self._path = directory / FAILURES_FILE
        names = {resolved_path_text(path) for path in retried}
        previous = self._path.read_text(encoding="utf-8").splitlines() if self._path.is_file() else []
        self._lines = [line for line in previous if _parse_source(line) not in names]
        if len(self._lines) < len(previous):
            self._write()

    def add(self, path: Path, reason: str) -> None:
        """Add a video; the line is on disk when this returns."""
        entry = {"path": path_text(path), "source": resolved_path_text(path), "reason": reason}
        self._lines.append(json.dumps(entry))
        self._write()

    def _write(self) -> None:
        if self._lines:
            atomic_write(self._path, "".join(f"{line}\n" for line in self._lines))
        else:
            self._path.unlink(missing_ok=True)
