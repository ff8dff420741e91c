"""Jobs on disk: a folder each, with its journal, its video and its results."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout
from pydantic import ValidationError

from save_avs._files import atomic_write
from save_avs.errors import UsageError
from save_avs.serving.job import Job

JOURNAL = "job.json"
VIDEO, RESULT = "video", "result"  # folders of a job
_MAX_NAME = 80  # characters of a file name


class JobStore:
    """The data folder of one server: ``jobs/<id>/`` for each job, ``tmp/`` for what arrives or is removed.

    A job's folder appears complete and disappears at once: both are one rename.

    Args:
        root: created if missing.

    Raises:
        UsageError: another server uses the folder, or it is a file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root = root.absolute()  # workers change their working directory
        self._jobs, self._tmp = root / "jobs", root / "tmp"
        if root.is_file():
            raise UsageError(f"{root} is a file: choose a folder with --data.")
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = FileLock(root / "lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(
                f"{root} is used by another server: choose another folder with --data."
            ) from None
        shutil.rmtree(self._tmp, ignore_errors=True)
        for folder in (self._jobs, self._tmp):
            folder.mkdir(exist_ok=True, mode=0o700)

    def close(self) -> None:
        """Let another server use the folder."""
        self._lock.release()

    def folder(self, job: Job) -> Path:
        """Return the folder of a job."""
        return self._jobs / job.id

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """Hand out an empty folder for a video on its way in; removed at the end unless it became a job."""
        folder = self._tmp / secrets.token_hex(16)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(self, job: Job, incoming: Path) -> None:
        """Make a job of the folder its video arrived in."""
        (incoming / VIDEO).mkdir(exist_ok=True)
        self._write(job, incoming)
        incoming.rename(self.folder(job))

    def write(self, job: Job) -> None:
        """Write the journal of a job."""
        self._write(job, self.folder(job))

    def _write(self, job: Job, folder: Path) -> None:
        atomic_write(folder / JOURNAL, job.model_dump_json(indent=2) + "\n")

    def remove_video(self, job: Job) -> None:
        """Remove the video of a job that has ended."""
        shutil.rmtree(self.folder(job) / VIDEO, ignore_errors=True)

    def remove(self, job: Job) -> None:
        """Remove a job's folder, which may be gone already."""
        removed = self._tmp / f"{job.id}.removed"
        with suppress(FileNotFoundError):
            self.folder(job).rename(removed)
        shutil.rmtree(removed, ignore_errors=True)

    def load(self) -> list[Job]:
        """Read the journals of all jobs, oldest first; folders without a readable one are removed."""
        jobs = []
        for folder in self._jobs.iterdir():
            try:
                jobs.append(Job.model_validate_json((folder / JOURNAL).read_text(encoding="utf-8")))
            except (OSError, ValidationError):
                shutil.rmtree(folder, ignore_errors=True)
        return sorted(jobs, key=lambda job: job.created)


def safe_name(name: str) -> str:
    """Return the last part of a client's file name, made safe for any file system."""
    last = PurePosixPath(name.replace("\\", "/")).name
    kept = "".join(letter for letter in last if letter.isprintable() and letter not in '<>:"|?*').lstrip(". ")
    stem, dot, suffix = kept.rpartition(".")
    if dot and len(suffix) < 10:
        kept = f"{stem[: _MAX_NAME - 10]}.{suffix}"
    return kept.encode("utf-8", "replace").decode()[:_MAX_NAME].rstrip(". ") or "video"
