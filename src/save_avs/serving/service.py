"""The service under both its faces: it takes videos in, has them segmented, and forgets them in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from save_avs.errors import SaveAvsError, UsageError
from save_avs.serving.job import Job, JobError, JobOptions, JobProgress, JobState
from save_avs.serving.job_queue import JobQueue
from save_avs.serving.job_registry import JobRegistry
from save_avs.serving.job_store import VIDEO, JobStore, safe_name
from save_avs.serving.metrics import Metrics
from save_avs.serving.worker import WorkerConfig
from save_avs.serving.worker_pool import WorkerPool
from save_avs.serving.worker_process import WorkerProcess

_ATTEMPTS = 2  # a job during which the server was killed this often may be the reason


class JobEndedError(SaveAvsError):
    """What was asked of a job comes too late: it has ended."""


class Service:
    """Jobs and the workers that do them; its methods may be called from any thread.

    Args:
        root: the data folder.
        equipment: of the workers.

    Attributes:
        models: what is known of each model, its name first.

    Raises:
        UsageError: another server uses the folder.
    """

    def __init__(self, root: Path, equipment: WorkerConfig) -> None:
        self.limits, self.hosts = equipment.limits, equipment.hosts
        self.store = JobStore(root)
        self.models: tuple[Mapping[str, Any], ...] = ()
        self._equipment = equipment
        self._line = JobQueue(self.limits.queue, self.limits.workers)
        self._register = JobRegistry(self.store)
        self._crew = WorkerPool(
            equipment, line=self._line, register=self._register, store=self.store, on_end=self._count
        )
        self.metrics = Metrics(waiting=lambda: len(self._line), running=lambda: self._crew.running)
        self._closing = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="save-avs-sweep", daemon=True)

    def start(self) -> None:
        """Load the models, take up the jobs that a former server did not finish, and begin to work.

        Raises:
            UsageError, SaveAvsError: the models cannot be loaded, or two have one name.
        """
        first = WorkerProcess(self._equipment)
        names = [model["name"] for model in first.models]
        if len(set(names)) < len(names):
            first.end()
            raise UsageError(f"two models call themselves by one name: {', '.join(names)}; serve one of them")
        self.models = first.models
        for job in self._register.load():
            self._take_up(job)
        self._crew.start(first)
        self._sweeper.start()

    def close(self) -> None:
        """Stop working. Jobs that are not done stay accepted, for the next server."""
        self._closing.set()
        self._line.close()
        self._crew.close()
        self.store.close()

    @property
    def ready(self) -> bool:
        """Some worker can take a job."""
        return self._crew.ready

    @contextmanager
    def arriving(self) -> Iterator[Path]:
        """Hold a place in the queue, and a folder, for a video on its way in; it goes into ``VIDEO`` there.

        Raises:
            QueueFullError: the queue is full.
        """
        try:
            with self._line.place(), self.store.arriving() as folder:
                (folder / VIDEO).mkdir()
                yield folder
        except SaveAvsError as error:
            self.metrics.refused.labels(type(error).__name__.removesuffix("Error")).inc()
            raise

    def accept(self, arrived: Path, name: str, options: JobOptions, url: str | None = None) -> Job:
        """Make a job of what arrived in the folder of ``arriving``: a video of this name, or its address.

        Raises:
            UsageError: no such model here.
        """
        names = [model["name"] for model in self.models]
        if options.model is not None and options.model not in names:
            raise UsageError(f"no model {options.model!r} here; choose from {', '.join(names)}")
        chosen = options.model_copy(update={"model": options.model or names[0]})
        job = Job(name=safe_name(name), options=chosen, url=url)
        self._register.add(job, arrived)
        self._line.put(job.id)
        return job

    def find(self, id: str) -> Job | None:
        """The job of an id."""
        return self._register.find(id)

    def progress(self, job: Job) -> JobProgress:
        """How far a job is."""
        return self._register.progress(job)

    def ahead(self, job: Job) -> int | None:
        """How many jobs wait before this one; None when it does not wait."""
        return self._line.ahead(job.id)

    def cancel(self, job: Job) -> Job:
        """Stop a job, wait until it has stopped, and return what it is then.

        Raises:
            JobEndedError: it has ended already.
        """
        with self._register.changed:
            now = self.find(job.id)
            if now is None or now.state.ended:
                raise JobEndedError(f"the job has ended already: {now.state if now else 'deleted'}")
            self._line.drop(job.id)
            if not self._crew.stop(job.id):
                self._count(self._register.end(job.id, JobState.CANCELLED))
            return self.find(job.id) or now

    def delete(self, job: Job) -> None:
        """Remove a job with all that belongs to it, stopping it first where it must be."""
        with self._register.changed:
            if not job.state.ended:
                with suppress(JobEndedError):
                    self.cancel(job)
            self._register.forget(job.id)

    def _count(self, job: Job) -> None:
        self.metrics.ended.labels(job.state, job.error.code if job.error else "").inc()
        if job.started is not None and job.ended is not None:
            self.metrics.seconds.observe(job.ended - job.started)
            self._line.learn(job.ended - job.started)

    def _take_up(self, job: Job) -> None:
        """Go on with a job of a former server."""
        if job.state is JobState.RUNNING and job.attempts >= _ATTEMPTS:
            text = f"the server was killed {job.attempts} times while it worked on this video"
            self._count(self._register.end(job.id, JobState.FAILED, JobError(code="killed", message=text)))
        else:
            self._register.change(job.id, state=JobState.ACCEPTED, started=None, warnings=[])
            self._line.put(job.id)

    def _sweep(self) -> None:
        """Remove jobs whose time has come."""
        keep = self.limits.keep
        while not self._closing.wait(min(60.0, keep / 4)):
            for job in self._register.all():
                if job.ended is not None and time.time() - job.ended > keep:
                    self.delete(job)
