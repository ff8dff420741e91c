"""All jobs of a server in memory, each change written to disk first."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from threading import Condition, RLock
from typing import Any

from save_avs.serving.job import Job, JobError, JobProgress, JobState
from save_avs.serving.job_store import JobStore

_log = logging.getLogger("uvicorn.error")


class JobRegistry:
    """The jobs by id; thread-safe.

    Attributes:
        changed: the lock of every change, notified of each.
    """

    def __init__(self, store: JobStore) -> None:
        self.changed = Condition(RLock())
        self._store = store
        self._jobs: dict[str, Job] = {}
        self._progress: dict[str, JobProgress] = {}

    def load(self) -> list[Job]:
        """Load the jobs of a previous server; return those that have not ended, oldest first."""
        self._jobs = {job.id: job for job in self._store.load()}
        return [job for job in self._jobs.values() if not job.state.ended]

    def add(self, job: Job, incoming: Path) -> None:
        """Add a new job, whose video is in the folder ``incoming``."""
        self._store.add(job, incoming)
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
                self._store.write(job)
            except OSError as error:
                _log.error("job %s: its journal cannot be written: %s", id, error)
            self._jobs[id] = job
            self.changed.notify_all()
            return job

    def finish(self, id: str, state: JobState, error: JobError | None = None) -> Job:
        """Set the final state of a job, and remove its video."""
        with self.changed:
            job = self.change(id, state=state, ended=time.time(), error=error)
            self._store.remove_video(job)
            self._progress.pop(id, None)
            return job

    def remove(self, id: str) -> None:
        """Remove a job that has ended, with its files; nothing when it is gone already."""
        with self.changed:
            if job := self._jobs.pop(id, None):
                self._store.remove(job)
