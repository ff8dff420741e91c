"""Several videos in a row: failures are recorded, and the next video follows."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from save_avs.errors import MediaError
from save_avs.inference.pipeline import FrameProgress, segment
from save_avs.inference.predictor import FrameModel
from save_avs.inference.result_folders import FailureLog, SegmentationJob
from save_avs.inference.settings import SUMMARY_FILE, SegmentationSettings

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SegmentationOutcome:
    """The summary of a job, or the reason why there is none."""

    job: SegmentationJob
    summary: dict[str, Any] | None
    reason: str = ""


class ProgressReporter(Protocol):
    """Receives progress and warnings of one video, such as a progress bar."""

    def update(self, progress: FrameProgress) -> None:
        """Report the progress so far."""

    def warn(self, text: str) -> None:
        """Report a warning."""


def segment_jobs(
    jobs: Sequence[SegmentationJob],
    directory: Path,
    settings: SegmentationSettings,
    *,
    model: FrameModel,
    display: Callable[[SegmentationJob], AbstractContextManager[ProgressReporter]],
    overwrite: bool = False,
) -> Iterator[SegmentationOutcome]:
    """Segment each video into its folder and yield the outcome.

    Videos that cannot be read or finished go into ``failed.jsonl`` of ``directory``.
    Finished jobs are yielded with the summary they have.
    """
    failures = FailureLog(directory, [job.path for job in jobs])
    for job in jobs:
        if job.finished:
            summary = json.loads((job.folder / SUMMARY_FILE).read_text(encoding="utf-8"))
            yield SegmentationOutcome(job, summary)
            continue
        try:
            with display(job) as progress:
                result = segment(
                    job.path,
                    model=model,
                    directory=job.folder,
                    overwrite=overwrite,
                    on_progress=progress.update,
                    on_warning=progress.warn,
                    **asdict(settings),
                )
        except MediaError as error:
            _logger.error("%s", error)
            failures.add(job.path, str(error))
            yield SegmentationOutcome(job, None, str(error))
        else:
            yield SegmentationOutcome(job, result.summary())
