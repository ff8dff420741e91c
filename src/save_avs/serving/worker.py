"""What a worker process does: loads its models once, then segments one video after another.

It is told apart from the server because files from anywhere crash decoders, fill memory and never end.
The server stays what it is when a worker dies, and ends it when it must.
"""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from save_avs._text import print_traceback
from save_avs.errors import MediaError, SaveAvsError, UsageError
from save_avs.inference.process import behave
from save_avs.serving.job import Job, JobError, JobProgress
from save_avs.serving.job_store import ARCHIVE, RESULT, VIDEO
from save_avs.serving.limits import Limits

_EVERY = 0.2  # seconds between two reports of progress


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """What every worker is given at its start.

    Attributes:
        models: names or folders, as ``load_model`` takes them.
        device, precision, runtime: as ``load_model`` takes them.
        limits: of the service.
        hosts: from which videos may be fetched.
    """

    models: tuple[str, ...]
    device: str = "auto"
    precision: str = "auto"
    runtime: str = "auto"
    limits: Limits
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready:
    """The models are loaded; what each calls itself and how it runs."""

    models: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Unfit:
    """The models cannot be loaded, and why."""

    reason: str
    usage: bool


@dataclass(frozen=True)
class Warned:
    """Something worth knowing about the video."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The job is done, or there is a problem."""

    problem: JobError | None


Message = Ready | Unfit | Warned | Ended | JobProgress


class LimitError(SaveAvsError):
    """A video beyond the limits of the service; ``code`` says which."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def work(connection: Connection, equipment: WorkerConfig) -> None:
    """Be a worker until the server closes the connection or dies."""
    behave()
    models = _load(connection, equipment)
    while models:
        try:
            job, folder = connection.recv()
        except EOFError:
            return
        connection.send(Ended(_attempt(connection, equipment, models, job, folder)))


def _load(connection: Connection, equipment: WorkerConfig) -> dict[str, Any]:
    import torch

    from save_avs.inference.pipeline import describe_model
    from save_avs.models import load_model

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // equipment.limits.workers))
    how = {"device": equipment.device, "precision": equipment.precision, "runtime": equipment.runtime}
    try:
        loaded = [load_model(name, **how) for name in equipment.models]
    except SaveAvsError as error:
        connection.send(Unfit(str(error), isinstance(error, UsageError)))
        return {}
    connection.send(Ready(tuple(describe_model(model) for model in loaded)))
    return {model.name: model for model in loaded}


def _attempt(
    connection: Connection, equipment: WorkerConfig, models: Mapping[str, Any], job: Job, folder: Path
) -> JobError | None:
    try:
        _segment(connection, equipment, models, job, folder)
        return None
    except Exception as error:
        return _problem(error)


def _problem(error: Exception) -> JobError:
    """What the owner of a job hears of an error."""
    match error:
        case LimitError():
            code, text = error.code, str(error)
        case MediaError():
            code, text = "unreadable", str(error)
        case SaveAvsError():
            code, text = "refused", str(error)
        case MemoryError():
            code, text = "memory", "the video needs more memory than this server has"
        case OSError():
            code, text = "system", f"the server could not write: {error.strerror or error}"
        case _:
            print_traceback(error)
            code, text = "internal", "the program failed on this video; the server's log says where"
    return JobError(code=code, message=text)


def _segment(
    connection: Connection, equipment: WorkerConfig, models: Mapping[str, Any], job: Job, folder: Path
) -> None:
    from save_avs.inference import segment
    from save_avs.inference.result import write_summary
    from save_avs.inference.settings import SUMMARY_FILE

    limits, options = equipment.limits, job.options
    if job.url is not None:
        from save_avs.serving.url_fetch import fetch

        connection.send(JobProgress(phase="fetching"))
        fetch(job.url, folder / VIDEO / job.name, hosts=equipment.hosts, size=limits.size, time=limits.time)
    # Results name the video as its sender did: its path here is nobody's business.
    os.chdir(folder / VIDEO)
    video = Path(job.name)
    connection.send(JobProgress(phase="opening"))
    _check(video, limits)
    result = segment(
        video,
        model=models[str(options.model)],
        fps=None if options.fps == "native" else options.fps,
        threshold=options.threshold,
        outputs=tuple(options.save),
        directory=folder / RESULT,
        overwrite=True,
        on_progress=_Reporter(connection, limits).update,
        on_warning=lambda text: connection.send(Warned(text)),
    )
    write_summary(folder / RESULT / SUMMARY_FILE, {**result.summary(), "source": job.name})
    if "png" in options.save:
        connection.send(JobProgress(phase="packing", fraction=1.0, frames=len(result.video_masks)))
        _pack(folder / RESULT)


def _check(video: Path, limits: Limits) -> None:
    """Refuse what the header already says is too much.

    Raises:
        LimitError: too large a picture, or too long.
    """
    from save_avs.video import probe

    info = probe(video)
    if max(info.width, info.height) > limits.side:
        raise LimitError(
            "too_large_picture",
            f"{video}: {info.width} x {info.height} pixels; this server takes up to {limits.side} a side. "
            "Make it smaller and send it again",
        )
    if info.duration is not None:
        _check_time(info.duration, limits)


def _check_time(seconds: float, limits: Limits) -> None:
    if seconds > limits.duration:
        raise LimitError(
            "too_long",
            f"the video lasts {seconds:.1f} s or more; this server takes up to {limits.duration:g} s. "
            "Cut it and send the parts",
        )


class _Reporter:
    """Passes progress on, a few times a second, and notices videos that are longer than they say."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self._connection, self._limits = connection, limits
        self._next = 0.0

    def update(self, progress: Any) -> None:
        _check_time(progress.time, self._limits)
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY
        self._connection.send(
            JobProgress(
                phase="segmenting",
                fraction=progress.fraction,
                frames=progress.frames,
                rate=progress.frames_per_second,
                left=progress.remaining,
            )
        )


def _pack(result: Path) -> None:
    """Put the PNGs of a result into one archive; they are compressed already."""
    from save_avs._files import atomic_path

    folder = result / "masks"
    with atomic_path(result / ARCHIVE) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for picture in sorted(folder.iterdir()):
            archive.write(picture, f"masks/{picture.name}")
            picture.unlink()
    folder.rmdir()
