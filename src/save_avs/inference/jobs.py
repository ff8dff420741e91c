"""Many videos: a folder for each, and a record of those that could not be done."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Any

from save_avs._files import atomic_write
from save_avs._text import path_text, resolved_path_text
from save_avs.errors import UsageError
from save_avs.inference.output_files import SUMMARY_FILE

FAILURES_FILE = "failed.jsonl"


class ExistingPolicy(Enum):
    """What to do where the folder of a video already exists."""

    REFUSE = "refuse"
    NEXT_FREE = "next free"
    OVERWRITE = "overwrite"
    RESUME = "resume"


@dataclass(frozen=True)
class SegmentationJob:
    """One video and the folder its results go to; ``finished`` when an earlier run has done it."""

    path: Path
    folder: Path
    finished: bool = False


def plan_jobs(paths: Sequence[Path], directory: Path, existing: ExistingPolicy) -> list[SegmentationJob]:
    """Give each video its folder, ``<stem>``, or ``<stem>-2`` and so on where videos share a stem.

    With ``RESUME`` a folder that holds this very video's results counts as finished, and one of another
    video is passed over.

    Raises:
        UsageError: with ``REFUSE``, when a folder exists; and when ``directory`` is a file.
    """
    for parent in (directory, *directory.parents):
        if parent.exists() and not parent.is_dir():
            raise UsageError(f"{parent}: a file, so results cannot go into it; choose another folder with -o")
    jobs: list[SegmentationJob] = []
    taken: set[Path] = set()
    for path in paths:
        job = _place(path, directory, taken, existing)
        taken.add(job.folder)
        jobs.append(job)
    if existing is ExistingPolicy.REFUSE and (there := [job.folder for job in jobs if job.folder.exists()]):
        others = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise UsageError(
            f"{there[0]}{others} already exists; add --resume (keep it, do the rest) or --overwrite"
        )
    return jobs


def _place(path: Path, directory: Path, taken: Collection[Path], existing: ExistingPolicy) -> SegmentationJob:
    for n in count(1):
        folder = directory / (path.stem if n == 1 else f"{path.stem}-{n}")
        if folder in taken or (existing is ExistingPolicy.NEXT_FREE and folder.exists()):
            continue
        if existing is ExistingPolicy.RESUME and folder.exists():
            if _summary_source(folder) != resolved_path_text(path):
                continue
            return SegmentationJob(path, folder, finished=True)
        return SegmentationJob(path, folder)
    raise AssertionError("count() does not end")


def _summary_source(folder: Path) -> Any:
    """Read which video a results folder is of; None when it does not say."""
    summary = folder / SUMMARY_FILE
    return _source(summary.read_text(encoding="utf-8")) if summary.is_file() else None


def _source(text: str) -> Any:
    try:
        return json.loads(text)["source"]
    except (ValueError, KeyError, TypeError):
        return None


class FailureLog:
    """``failed.jsonl`` of a results directory: one line a video that could not be done, with the reason.

    Lines of videos that are tried again go; the file exists only while it has lines.
    """

    def __init__(self, directory: Path, retried: Collection[Path]) -> None:
        self._path = directory / FAILURES_FILE
        names = {resolved_path_text(path) for path in retried}
        former = self._path.read_text(encoding="utf-8").splitlines() if self._path.is_file() else []
        self._lines = [line for line in former if _source(line) not in names]
        if len(self._lines) < len(former):
            self._write()

    def add(self, path: Path, reason: str) -> None:
        """Add a video, at once on disk."""
        entry = {"path": path_text(path), "source": resolved_path_text(path), "reason": reason}
        self._lines.append(json.dumps(entry))
        self._write()

    def _write(self) -> None:
        if self._lines:
            atomic_write(self._path, "".join(f"{line}\n" for line in self._lines))
        else:
            self._path.unlink(missing_ok=True)
