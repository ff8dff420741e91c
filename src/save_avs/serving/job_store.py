"""Jobs on disk: a folder each, with its journal, its video and its results."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout
from pydantic import ValidationError

from save_avs._files import atomic_write
from save_avs.errors import UsageError
from save_avs.serving.job import Job

JOURNAL = "job.json"
VIDEO, RESULT = "video", "result"  # folders of a job
ARCHIVE = "masks.zip"
_LONGEST = 80  # characters of a file's name


class JobStore:
    """The data folder of one server: ``jobs/<id>/`` for each job, what is on its way in or out beside it.

    A job appears when its folder is complete, and goes at once: both are one renaming.

    Args:
        root: made when it is missing.

    Raises:
        UsageError: another server uses the folder, or it is a file.
    """

    def __init__(self, root: Path) -> None:
        root = root.absolute()  # workers change their folder
        self._jobs, self._aside, self.uploads = root / "jobs", root / "aside", root / "uploads"
        if root.is_file():
            raise UsageError(f"{root}: a file, so jobs cannot lie in it; choose a folder with --data")
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = FileLock(root / "lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(f"{root}: another server uses this folder; choose one with --data") from None
        for passing in (self._aside, self.uploads):
            shutil.rmtree(passing, ignore_errors=True)
        for folder in (self._jobs, self._aside, self.uploads):
            folder.mkdir(exist_ok=True, mode=0o700)
        self.root = root

    def close(self) -> None:
        """Let another server use the folder."""
        self._lock.release()

    def folder(self, job: Job) -> Path:
        """Where a job lies."""
        return self._jobs / job.id

    @contextmanager
    def arriving(self) -> Iterator[Path]:
        """Hand out an empty folder for a video on its way in; what is still there afterwards is removed."""
        folder = self._aside / secrets.token_hex(16)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def admit(self, job: Job, arrived: Path) -> None:
        """Make a job of the folder that its video arrived in."""
        (arrived / VIDEO).mkdir(exist_ok=True)
        self._write(job, arrived)
        arrived.rename(self.folder(job))

    def write(self, job: Job) -> None:
        """Note in its journal what has become of a job."""
        self._write(job, self.folder(job))

    def _write(self, job: Job, folder: Path) -> None:
        atomic_write(folder / JOURNAL, job.model_dump_json(indent=2) + "\n")

    def drop_video(self, job: Job) -> None:
        """Remove the video of a job that has ended: nobody asks for it again."""
        shutil.rmtree(self.folder(job) / VIDEO, ignore_errors=True)

    def remove(self, job: Job) -> None:
        """Remove a job and all that belongs to it."""
        going = self._aside / f"{job.id}.going"
        self.folder(job).rename(going)
        shutil.rmtree(going, ignore_errors=True)

    def load(self) -> list[Job]:
        """Read the journals of all jobs, oldest first; a folder without a readable one is removed."""
        found = []
        for folder in self._jobs.iterdir():
            try:
                found.append(Job.model_validate_json((folder / JOURNAL).read_text(encoding="utf-8")))
            except (OSError, ValidationError):
                shutil.rmtree(folder, ignore_errors=True)
        return sorted(found, key=lambda job: job.created)


def safe_name(sent: str) -> str:
    """The last part of a file's name, as a name that is safe in any folder."""
    last = PurePosixPath(sent.replace("\\", "/")).name
    kept = "".join(letter for letter in last if letter.isprintable() and letter not in '<>:"|?*').lstrip(". ")
    stem, dot, suffix = kept.rpartition(".")
    if dot and len(suffix) < 10:
        kept = f"{stem[: _LONGEST - 10]}.{suffix}"
    return kept.encode("utf-8", "replace").decode()[:_LONGEST].rstrip(". ") or "video"
