"""All jobs of a server: in memory, and on disk in a folder each, with its journal, video and results."""

import logging
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from threading import Condition, RLock
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from save_avs._files import atomic_write
from save_avs.errors import UsageError
from save_avs.serving.job import Job, JobError, JobProgress, JobState

JOURNAL = "job.json"
VIDEO, RESULT = "video", "result"  # folders of a job
ARCHIVE, WAVEFORM = "masks.zip", "waveform.json"  # the folder of PNG masks, packed; the outline of the sound
_log = logging.getLogger("uvicorn.error")
_MAX_NAME = 80  # characters of a file name


class JobStore:
    """The jobs of one server by id, each change written to disk first; thread-safe.

    In the data folder, ``jobs/<id>/`` holds each job, ``tmp/`` what arrives or is removed. A job's folder
    appears complete and disappears at once: both are one rename. ``changed`` is the lock of every change,
    notified of each. A UsageError says that another server uses the folder, or that it is a file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root = root.absolute()  # workers change their working directory
        self._folder, self._tmp = root / "jobs", root / "tmp"
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
        for folder in (self._folder, self._tmp):
            folder.mkdir(exist_ok=True, mode=0o700)
        self.changed = Condition(RLock())
        self._jobs: dict[str, Job] = {}
        self._progress: dict[str, JobProgress] = {}

    def close(self) -> None:
        """Let another server use the folder."""
        self._lock.release()

    def folder(self, job: Job) -> Path:
        """Return the folder of a job."""
        return self._folder / job.id

    def load(self) -> list[Job]:
        """Load the jobs of a previous server; return those that have not ended, oldest first.

        Folders without a readable journal are removed.
        """
        for folder in self._folder.iterdir():
            try:
                job = Job.model_validate_json((folder / JOURNAL).read_text(encoding="utf-8"))
                self._jobs[job.id] = job
            except (OSError, ValidationError):
                shutil.rmtree(folder, ignore_errors=True)
        return sorted(
            (job for job in self._jobs.values() if not job.state.ended), key=lambda job: job.created
        )

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
        _write_journal(job, incoming)
        incoming.rename(self.folder(job))
        with self.changed:
            self._jobs[job.id] = job

    def find(self, id: str) -> Job | None:
        """Return the current job of an id."""
        return self._jobs.get(id)

    def all(self) -> list[Job]:
        """Return every job."""
        with self.changed:
            return list(self._jobs.values())

    def progress(self, job: Job) -> JobProgress:
        """Return the progress of a job."""
        if job.state is JobState.ACCEPTED:
            return JobProgress(phase="waiting")
        if job.state.ended:
            return JobProgress(phase=job.state, fraction=1.0 if job.state is JobState.DONE else None)
        return self._progress.get(job.id, JobProgress(phase="starting"))

    def record(self, id: str, message: JobProgress | str) -> None:
        """Record the progress of a job, or a warning about its video."""
        if isinstance(message, JobProgress):
            self._progress[id] = message
        else:
            with self.changed:
                self.change(id, warnings=[*self._jobs[id].warnings, message])

    def change(self, id: str, **changes: Any) -> Job:
        """Update fields of a job, in memory even if the disk is full."""
        with self.changed:
            job = self._jobs[id].model_copy(update=changes)
            try:
                _write_journal(job, self.folder(job))
            except OSError as error:
                _log.error("job %s: its journal cannot be written: %s", id, error)
            self._jobs[id] = job
            self.changed.notify_all()
            return job

    def finish(self, id: str, state: JobState, error: JobError | None = None) -> Job:
        """Set the final state of a job, and remove its video."""
        with self.changed:
            job = self.change(id, state=state, ended=time.time(), error=error)
            shutil.rmtree(self.folder(job) / VIDEO, ignore_errors=True)
            self._progress.pop(id, None)
            return job

    def remove(self, id: str) -> None:
        """Remove a job that has ended, with its files; nothing when it is gone already."""
        with self.changed:
            if job := self._jobs.pop(id, None):
                removed = self._tmp / f"{id}.removed"
                try:
                    self.folder(job).rename(removed)
                except OSError:  # already removed, or the disk is full
                    removed = self.folder(job)
                shutil.rmtree(removed, ignore_errors=True)


def _write_journal(job: Job, folder: Path) -> None:
    atomic_write(folder / JOURNAL, job.model_dump_json(indent=2) + "\n")


def safe_name(name: str) -> str:
    """Return the last part of a client's file name, made safe for any file system."""
    last = PurePosixPath(name.replace("\\", "/")).name
    kept = "".join(letter for letter in last if letter.isprintable() and letter not in '<>:"|?*').lstrip(". ")
    stem, dot, suffix = kept.rpartition(".")
    if dot and len(suffix) < 10:
        kept = f"{stem[: _MAX_NAME - 10]}.{suffix}"
    return kept.encode("utf-8", "replace").decode()[:_MAX_NAME].rstrip(". ") or "video"
