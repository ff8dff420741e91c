"""Input videos and the folders of their results: which videos, which folder each, which ones failed."""

import glob
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from save_avs._files import atomic_write, path_lock
from save_avs._text import path_text
from save_avs.errors import UsageError
from save_avs.inference.frame_folder import find_images, is_frame_folder
from save_avs.inference.result_key import find_difference, result_key
from save_avs.inference.settings import OUTPUT_FILES, SUMMARY_FILE, SegmentationSettings
from save_avs.inference.spooled_input import (
    STDIN,
    SpooledInput,
    VideoInput,
    input_fingerprint,
    input_text,
    open_input,
    open_stdin,
)
from save_avs.video.discovery import find_videos

FAILURES_FILE = "failed.jsonl"


def find_inputs(inputs: Iterable[str], sound: str | None = None) -> list[VideoInput]:
    """List what files, folders, globs, URLs and ``-`` (stdin) name, each once; nothing is read.

    Raises:
        UsageError: as in ``find_input_videos``, or stdin is a terminal.
    """
    found: dict[str, VideoInput] = {}
    for item in inputs:
        first = open_stdin() if item == STDIN else open_input(item)
        several = [first] if isinstance(first, SpooledInput) else find_input_videos([item], sound)
        for each in several:
            found.setdefault(input_text(each), each)
    return list(found.values())


def find_input_videos(inputs: Iterable[str | Path], sound: str | None = None) -> list[Path]:
    """List the videos that files, folders and globs name, in order, without repeats.

    A folder of images with their sound, or any folder of images where a file of sound is given, is one video.

    An overlay in an earlier results folder is an input only when it is named as a file.

    Raises:
        UsageError: an input does not exist, or contains no video.
    """
    found: dict[Path, Path] = {}
    for item in inputs:
        pattern = str(item)
        matches = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [item]  # noqa: PTH207, as in find_videos
        paths = [path for path in map(Path, matches) if is_frame_folder(path, sound)] or _videos(item)
        if not Path(item).expanduser().is_file():
            paths = [path for path in paths if not _is_result(path)]
            if not paths:
                raise UsageError(f"{item}: contains no video except results of this program")
        for path in paths:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _videos(item: str | Path) -> list[Path]:
    """List the videos of an input that is no folder of images with their sound."""
    try:
        return find_videos(str(item))
    except UsageError:
        if Path(item).is_dir() and find_images(Path(item)):
            raise UsageError(f"{item}: images without one wav file: name their sound with --audio") from None
        raise


def _is_result(path: Path) -> bool:
    return (
        path.name in (OUTPUT_FILES["overlay"], OUTPUT_FILES["video"])
        and (path.parent / SUMMARY_FILE).is_file()
    )


class ExistingPolicy(Enum):
    """What to do when a video's results folder already exists."""

    REFUSE = "refuse"
    NEXT_FREE = "next free"
    OVERWRITE = "overwrite"
    RESUME = "resume"


class SegmentationJob(NamedTuple):
    """One video and its results folder."""

    path: VideoInput
    folder: Path


def plan_jobs(
    paths: Sequence[VideoInput], directory: Path, existing: ExistingPolicy
) -> list[SegmentationJob]:
    """Give each video its folder: ``<stem>``, or ``<stem>-2`` and so on where videos share a stem.

    With ``RESUME`` a folder with results of this very video is its folder, and one of another video is
    skipped.

    Raises:
        UsageError: ``directory`` is a file or cannot be written to, no video can be read, or with ``REFUSE``
            a folder exists.
    """
    for parent in (directory, *directory.parents):
        if parent.exists() and not parent.is_dir():
            raise UsageError(f"{parent} is a file, so it cannot hold results: choose another folder with -o")
    chosen: dict[Path, VideoInput] = {}
    for path in paths:
        chosen[_choose_folder(path, directory, existing, chosen)] = path
    jobs = [SegmentationJob(path, folder) for folder, path in chosen.items()]
    present = [job.folder for job in jobs if job.folder.exists()]
    if existing is ExistingPolicy.REFUSE and present:
        others = f" and {len(present) - 1} more" if len(present) > 1 else ""
        raise UsageError(
            f"{present[0]}{others} already exists: add --resume (keep finished results) or --overwrite"
        )
    _check_permissions(directory, jobs)
    return jobs


def _check_permissions(directory: Path, jobs: Sequence[SegmentationJob]) -> None:
    above = next(parent for parent in (directory, *directory.parents) if parent.exists())
    for folder in (above, *(job.folder for job in jobs if job.folder.exists())):
        if not os.access(folder, os.W_OK | os.X_OK):
            advice = "choose another folder with -o, or change its permissions"
            raise UsageError(f"{folder} cannot be written to: {advice}")
    files = [job.path for job in jobs if isinstance(job.path, Path)]
    unreadable = [path for path in files if path.exists() and not os.access(path, os.R_OK)]
    if unreadable and len(unreadable) == len(jobs):
        raise UsageError(f"{unreadable[0]} cannot be read: change its permissions, such as with chmod +r")


def _choose_folder(
    path: VideoInput, directory: Path, existing: ExistingPolicy, taken: Collection[Path]
) -> Path:
    def is_free(folder: Path) -> bool:
        if existing is ExistingPolicy.RESUME and folder.exists():
            return (read_summary(folder) or {}).get("source") == input_text(path)
        return existing is not ExistingPolicy.NEXT_FREE or not folder.exists()

    folders = (directory / (path.stem if n == 1 else f"{path.stem}-{n}") for n in count(1))
    return next(folder for folder in folders if folder not in taken and is_free(folder))


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Return the summary of a results folder; None where there is none that can be read."""
    try:
        summary = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return summary if isinstance(summary, dict) else None


def find_staleness(
    folder: Path, path: VideoInput, settings: SegmentationSettings, model: Mapping[str, Any]
) -> str:
    """Return in words why an existing results folder is not what a run would write; empty where it is.

    Without a description of the model, models are not compared.

    Raises:
        OSError: a file cannot be read.
        MediaError: a URL or stdin cannot be read.
    """
    summary = read_summary(folder) or {}
    if summary.get("source") != input_text(path):
        return "it is of another file"
    wanted = result_key(input_fingerprint(path, settings), settings, model)
    if not model:
        del wanted["model"]
    if difference := find_difference(summary.get("key"), wanted):
        return difference
    files = (OUTPUT_FILES[name] for name in settings.outputs)
    missing = [name for name in files if not (folder / name).exists()]
    return f"{missing[0]} is missing" if missing else ""


def _parse_source(text: str) -> Any:
    try:
        return json.loads(text)["source"]
    except (ValueError, KeyError, TypeError):
        return None


class FailureLog:
    """``failed.jsonl`` of a results directory: one line per video that failed, with the reason.

    Lines of videos that are tried again are removed; the file exists only while it has lines.
    """

    def __init__(self, directory: Path, retried: Collection[VideoInput]) -> None:
        self._path = directory / FAILURES_FILE
        if self._path.is_file():
            self._update({input_text(path) for path in retried})

    def add(self, path: VideoInput, reason: str) -> None:
        """Add a video; the line is on disk when this returns."""
        entry = {"path": path_text(path), "source": input_text(path), "reason": reason}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._update({entry["source"]}, json.dumps(entry))

    def _update(self, removed: Collection[str], *added: str) -> None:
        """Remove the lines of some videos and add others; runs at the same time keep each other's."""
        with path_lock(self._path):
            previous = self._path.read_text(encoding="utf-8").splitlines() if self._path.is_file() else []
            lines = [line for line in previous if _parse_source(line) not in removed] + [*added]
            if lines:
                atomic_write(self._path, "".join(f"{line}\n" for line in lines))
            else:
                self._path.unlink(missing_ok=True)
