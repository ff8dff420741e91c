"""Several videos in a row: one that cannot be read is recorded, and the rest is done."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from save_avs.errors import MediaError
from save_avs.inference.jobs import FailureLog, SegmentationJob
from save_avs.inference.output_files import SUMMARY_FILE
from save_avs.inference.pipeline import FrameProgress, segment
from save_avs.inference.predictor import FrameModel
from save_avs.inference.settings import SegmentationSettings


@dataclass(frozen=True)
class SegmentationOutcome:
    """What became of a job: its summary, or the reason why there is none."""

    job: SegmentationJob
    summary: dict[str, Any] | None
    reason: str = ""


class ProgressDisplay(Protocol):
    """Someone who looks on while one video is segmented."""

    def update(self, progress: FrameProgress) -> None:
        """Take note of how far it is."""

    def warn(self, text: str) -> None:
        """Take note of something worth knowing."""


class ProgressDisplayFactory(Protocol):
    """Gives each job its watcher."""

    def __call__(self, job: SegmentationJob) -> AbstractContextManager[ProgressDisplay]:
        """Make a watcher for the time of one job."""
        ...


def segment_jobs(
    jobs: Sequence[SegmentationJob],
    directory: Path,
    settings: SegmentationSettings,
    *,
    model: FrameModel,
    watch: ProgressDisplayFactory,
    overwrite: bool = False,
) -> Iterator[SegmentationOutcome]:
    """Segment each video into its folder; yield what became of it.

    Videos that cannot be read or finished go into ``failed.jsonl`` of ``directory``, and the next one
    follows. Finished jobs are passed through with the summary they have.
    """
    failures = FailureLog(directory, [job.path for job in jobs])
    for job in jobs:
        if job.finished:
            yield SegmentationOutcome(
                job, json.loads((job.folder / SUMMARY_FILE).read_text(encoding="utf-8"))
            )
            continue
        try:
            with watch(job) as watcher:
                result = segment(
                    job.path,
                    model=model,
                    fps=settings.fps,
                    threshold=settings.threshold,
                    outputs=settings.outputs,
                    batch=settings.batch,
                    directory=job.folder,
                    overwrite=overwrite,
                    on_progress=watcher.update,
                    on_warning=watcher.warn,
                )
        except MediaError as error:
            failures.add(job.path, str(error))
            yield SegmentationOutcome(job, None, str(error))
        else:
            yield SegmentationOutcome(job, result.summary())
