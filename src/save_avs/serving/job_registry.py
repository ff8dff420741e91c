"""All jobs of a server, and each change of them: on disk first, then seen."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

from save_avs.serving.job import Job, JobError, JobProgress, JobState
from save_avs.serving.job_store import JobStore
from save_avs.serving.worker import Warned

_log = logging.getLogger("uvicorn.error")


class JobRegistry:
    """The jobs by their ids; for any number of threads.

    Attributes:
        changed: the lock of every change, told of each.
    """

    def __init__(self, store: JobStore) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._shelf = store
        self._jobs: dict[str, Job] = {}
        self._progress: dict[str, JobProgress] = {}

    def load(self) -> list[Job]:
        """Take up what a former server left; returns its jobs that have not ended, oldest first."""
        self._jobs = {job.id: job for job in self._shelf.load()}
        return [job for job in self._jobs.values() if not job.state.ended]

    def add(self, job: Job, arrived: Path) -> None:
        """Enter a new job, whose video lies in the folder ``arrived``."""
        self._shelf.admit(job, arrived)
        with self.changed:
            self._jobs[job.id] = job

    def find(self, id: str) -> Job | None:
        """The job of an id, as it is now."""
        return self._jobs.get(id)

    def all(self) -> list[Job]:
        """Every job, as it is now."""
        with self.changed:
            return list(self._jobs.values())

    def progress(self, job: Job) -> JobProgress:
        """How far a job is."""
        if job.state is JobState.ACCEPTED:
            return JobProgress(phase="waiting")
        if job.state.ended:
            return JobProgress(phase=job.state, fraction=1.0 if job.state is JobState.DONE else None)
        return self._progress.get(job.id, JobProgress(phase="starting"))

    def note(self, id: str, said: JobProgress | Warned) -> None:
        """Take note of what a worker says of a job."""
        if isinstance(said, JobProgress):
            self._progress[id] = said
        else:
            with self.changed:
                self.change(id, warnings=[*self._jobs[id].warnings, said.text])

    def change(self, id: str, **changes: Any) -> Job:
        """Replace a job by what it has become; a full disk does not keep it from becoming that."""
        with self.changed:
            job = self._jobs[id].model_copy(update=changes)
            try:
                self._shelf.write(job)
            except OSError as error:
                _log.error("job %s: its journal cannot be written: %s", id, error)
            self._jobs[id] = job
            self.changed.notify_all()
            return job

    def end(self, id: str, state: JobState, problem: JobError | None = None) -> Job:
        """Let a job have ended; its video goes."""
        with self.changed:
            job = self.change(id, state=state, ended=time.time(), error=problem)
            self._shelf.drop_video(job)
            self._progress.pop(id, None)
            return job

    def forget(self, id: str) -> None:
        """Remove a job that has ended, with all that belongs to it; nothing when it is gone already."""
        with self.changed:
            if job := self._jobs.pop(id, None):
                self._shelf.remove(job)
