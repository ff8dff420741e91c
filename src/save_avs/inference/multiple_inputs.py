"""Several videos in a row: failures are recorded, and the next video follows."""

import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from av.error import FFmpegError

from save_avs.errors import ExistingFolderError, MediaError, SaveAvsError
from save_avs.inference.pipeline import segment
from save_avs.inference.predictor import FrameModel, describe_model
from save_avs.inference.result_folders import (
    ExistingPolicy,
    FailureLog,
    SegmentationJob,
    find_staleness,
    read_summary,
)
from save_avs.inference.segment_options import FrameProgress
from save_avs.inference.settings import SegmentationSettings
from save_avs.inference.spooled_input import SpooledInput
from save_avs.video.container import error_reason

_logger = logging.getLogger(__name__)
_ENDS_RUN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_REPEATS = 3  # of one unexpected error, before any success, after which the run ends


@dataclass(frozen=True)
class SegmentationOutcome:
    """The summary of a job, or the reason why there is none; ``kept`` when an earlier run has written it."""

    job: SegmentationJob
    summary: dict[str, Any] | None
    reason: str = ""
    kept: bool = False


class ProgressReporter(Protocol):
    """Receives progress and warnings of one video, such as a progress bar."""

    def update(self, progress: FrameProgress) -> None:
        """Report the progress so far."""

    def copied(self, done: int, total: int | None) -> None:
        """Report the bytes that were copied of a URL or of stdin, and of how many."""

    def warn(self, text: str) -> None:
        """Report a warning."""


Display = Callable[[SegmentationJob], AbstractContextManager[ProgressReporter]]


def segment_jobs(
    jobs: Sequence[SegmentationJob],
    directory: Path,
    settings: SegmentationSettings,
    *,
    model: FrameModel,
    display: Display,
    existing: ExistingPolicy = ExistingPolicy.REFUSE,
) -> Iterator[SegmentationOutcome]:
    """Segment each video into its folder and yield the outcome.

    Videos that cannot be read or finished go into ``failed.jsonl`` of ``directory``, whatever the error. A
    full disk ends the run, and so does an unexpected error that the first three videos have in common. A
    folder with the very result that the run would write is kept, unless ``OVERWRITE``.
    """
    failures = FailureLog(directory, [job.path for job in jobs])
    unexpected: list[str] = []
    for number, job in enumerate(jobs):
        try:
            outcome = _segment_job(job, settings, model, display, existing)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _ENDS_RUN:
                raise
            reason = _reason(job, error)
            if not isinstance(error, MediaError | ExistingFolderError):
                unexpected.append(f"{type(error).__name__}: {error}".replace(str(job.path), ""))
                if len(unexpected) == _REPEATS == number + 1 and len(set(unexpected)) == 1:
                    raise
                _logger.debug("%s", job.path, exc_info=True)
            failures.add(job.path, reason)
            outcome = SegmentationOutcome(job, None, reason)
        yield outcome


def _segment_job(
    job: SegmentationJob,
    settings: SegmentationSettings,
    model: FrameModel,
    display: Display,
    existing: ExistingPolicy,
) -> SegmentationOutcome:
    with ExitStack() as stack:
        progress = stack.enter_context(display(job))
        if isinstance(job.path, SpooledInput):
            job.path.on_bytes = progress.copied
            stack.callback(job.path.close)
        while True:
            overwrite, stale = existing is ExistingPolicy.OVERWRITE, ""
            if job.folder.exists() and not overwrite:
                stale = find_staleness(job.folder, job.path, settings, describe_model(model))
                if not stale:
                    return SegmentationOutcome(job, read_summary(job.folder), kept=True)
                if existing is not ExistingPolicy.RESUME:
                    raise ExistingFolderError(f"{job.folder} was created by another program: run again")
                overwrite = True
            if stale:
                progress.warn(f"{job.path}: segmented again, its earlier result does not match: {stale}")
            try:
                result = segment(
                    job.path,
                    model=model,
                    directory=job.folder,
                    overwrite=overwrite,
                    on_progress=progress.update,
                    on_warning=progress.warn,
                    **asdict(settings),
                )
            except ExistingFolderError:
                if not job.folder.exists():
                    raise
                continue  # another run has written it in the meantime
            return SegmentationOutcome(job, result.summary())


def _reason(job: SegmentationJob, error: Exception) -> str:
    """Return what is wrong with a video, in one line that names it."""
    if isinstance(error, SaveAvsError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = "out of memory: scale the video down, or choose a smaller model"
    elif isinstance(error, FFmpegError):  # while reading, these are MediaErrors
        text = f"FFmpeg cannot write an output video of it ({error_reason(error)}): add --save masks"
    elif isinstance(error, PermissionError):
        text = f"permission denied ({error.filename}): change its permissions"
    elif isinstance(error, OSError) and error.filename and error.strerror:
        text = f"{error.filename}: cannot be read or written ({error.strerror})"
    else:
        text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if str(job.path) in text else f"{job.path}: {text}"
