"""The files of all jobs: one folder each in the data folder, which all servers share."""

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from save_avs.errors import UsageError
from save_avs.inference.frame_folder import IMAGE_SUFFIXES
from save_avs.serving.job import JobRecord

VIDEO = "video"  # folder of the video, or of images and their sound, in a job's folder
FRAMES = "frames"  # folder of the images in it
ARCHIVE, WAVEFORM = "masks.zip", "waveform.json"  # the folder of PNG masks, packed; the outline of the sound
MASK = "mask.png"  # of a prompt
_MAX_NAME = 80  # characters of a file name


class JobFiles:
    """In the data folder, ``jobs/<id>/`` holds each job, ``tmp/`` what arrives or is removed.

    A job's folder appears complete and disappears at once: both are one rename. Each run of a job writes into
    folders of its own, so that one whose server was taken for dead cannot disturb the next.

    Raises:
        UsageError: the data folder is a file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root = root.absolute()  # workers change their working directory
        self._jobs, self._tmp = root / "jobs", root / "tmp"
        if root.is_file():
            raise UsageError(f"{root} is a file: choose a folder with --data.")
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def folder(self, id: str) -> Path:
        """Return the folder of a job."""
        return self._jobs / id

    def result(self, job: JobRecord) -> Path:
        """Return the folder of the results of a job's current run."""
        return result_folder(self.folder(job.id), job)

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """Hand out a folder for a video on its way in; removed at the end unless it became a job."""
        folder = self._tmp / secrets.token_hex(16)
        (folder / VIDEO).mkdir(parents=True, mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def adopt(self, incoming: Path, id: str) -> None:
        """Make the folder that a video arrived in that of a job."""
        self._jobs.mkdir(exist_ok=True, mode=0o700)
        incoming.rename(self.folder(id))

    def clear(self, job: JobRecord) -> None:
        """Remove everything of a job that has ended but its results."""
        kept = self.result(job).name
        folder = self.folder(job.id)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name != kept:
                shutil.rmtree(path, ignore_errors=True)

    def remove(self, id: str) -> None:
        """Remove the files of a job; nothing when they are gone already."""
        removed = self._tmp / f"{id}.removed"
        try:
            self._tmp.mkdir(exist_ok=True, mode=0o700)
            self.folder(id).rename(removed)
        except OSError:  # already removed, or the disk is full
            removed = self.folder(id)
        shutil.rmtree(removed, ignore_errors=True)

    def sweep(self, age: float, *, known: Callable[[str], bool]) -> None:
        """Remove what killed servers left, in ``tmp/`` or of unknown jobs, after ``age`` seconds."""
        for parent in (self._tmp, self._jobs):
            for path in parent.iterdir() if parent.is_dir() else ():
                old = time.time() - path.stat().st_mtime > age
                if old and (parent == self._tmp or not known(path.name)):
                    shutil.rmtree(path, ignore_errors=True)


def result_folder(folder: Path, job: JobRecord) -> Path:
    """Return the folder for the results of a job's current run."""
    return folder / f"result-{job.run}"


def video_folder(folder: Path, job: JobRecord) -> Path:
    """Return the folder of a job's video: the uploaded one, or that which its current run fetches."""
    return folder / (VIDEO if job.url is None else f"fetched-{job.run}")


def safe_name(name: str) -> str:
    """Return the last part of a client's file name, made safe for any file system."""
    last = PurePosixPath(name.replace("\\", "/")).name
    kept = "".join(letter for letter in last if letter.isprintable() and letter not in '<>:"|?*').lstrip(". ")
    stem, dot, suffix = kept.rpartition(".")
    if dot and len(suffix) < 10:
        kept = f"{stem[: _MAX_NAME - 10]}.{suffix}"
    safe = kept.encode("utf-8", "replace").decode()[:_MAX_NAME].rstrip(". ")
    return safe if safe and safe != FRAMES else "video"


def frame_name(position: int, name: str) -> str:
    """Return the file name of an image: by the last number in them, those without one as they arrived."""
    safe = safe_name(name)
    return f"{position:06d}-{safe}{'' if Path(safe).suffix.lower() in IMAGE_SUFFIXES else '.png'}"
