"""The service behind the REST API: accepts videos, has them segmented, and removes them in time."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from save_avs.errors import UsageError
from save_avs.inference.result_folders import read_summary
from save_avs.serving.background import BackgroundLoop
from save_avs.serving.config import WorkerConfig
from save_avs.serving.errors import ServiceError
from save_avs.serving.job import Job, JobRecord, JobState, PromptOptions
from save_avs.serving.job_files import JobFiles
from save_avs.serving.job_store import JobStore
from save_avs.serving.logs import log_job
from save_avs.serving.worker import ModelFacts
from save_avs.serving.worker_pool import WorkerPool

_CANCEL_POLL = 0.05  # seconds
_BUCKETS = (0.1, 0.3, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)  # seconds


class Metrics:
    """Prometheus metrics of one service, in a registry of their own; each scrape calls both functions."""

    def __init__(self, *, waiting: Callable[[], float], running: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        self.ended = Counter("save_avs_jobs_ended", "Jobs that ended", ["state", "error"], registry=registry)
        self.refused = Counter("save_avs_refused", "Requests refused", ["reason"], registry=registry)
        self.received = Counter("save_avs_received_bytes", "Bytes of videos", registry=registry)
        self.seconds = Histogram(
            "save_avs_job_seconds", "Duration of jobs", buckets=_BUCKETS, registry=registry
        )
        self.phases = Histogram(
            "save_avs_phase_seconds",
            "Seconds of jobs in the queue, and in decode, model and write, which overlap",
            ["phase"],
            buckets=_BUCKETS,
            registry=registry,
        )
        ProcessCollector(registry=registry)
        Gauge("save_avs_jobs_waiting", "Jobs in the queue", registry=registry).set_function(waiting)
        Gauge("save_avs_jobs_running", "Jobs running", registry=registry).set_function(running)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class JobQueue:
    """Places in the queue, reserved before a video is read, so that none is uploaded in vain; thread-safe.

    Args:
        capacity: jobs that may wait, on all servers; uploads on their way to other servers are not counted.
        workers: of this server, for an estimate of the waiting time.
        waiting: counts the jobs that wait now.
    """

    def __init__(self, capacity: int, workers: int, waiting: Callable[[], int]) -> None:
        self._capacity, self._workers, self._waiting = capacity, workers, waiting
        self._reserved = 0
        self._job_seconds = 5.0  # duration of a job, a running average
        self._lock = Lock()

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Hold a place while a video arrives; a ServiceError if there is none."""
        waiting = self._waiting()
        with self._lock:
            if waiting + self._reserved >= self._capacity:
                wait = max(1, round(self._job_seconds / self._workers))
                text = f"The queue is full: try again in {wait} s."
                raise ServiceError("queue_full", text, retry_after=wait)
            self._reserved += 1
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= 1

    def record_duration(self, seconds: float) -> None:
        """Update the estimate of what a job takes."""
        self._job_seconds += 0.2 * (seconds - self._job_seconds)


class Service:
    """Jobs in a database and a data folder, and the workers of this server; thread-safe.

    Several servers may share both: each accepts, runs, cancels and removes the jobs of all.
    """

    def __init__(self, root: Path, config: WorkerConfig, *, database: str | None = None) -> None:
        limits = self.limits = config.limits
        self.hosts = config.hosts
        self.prompt_model = config.prompt_model and Path(config.prompt_model).name
        self.files = JobFiles(root)
        self.store = JobStore(database, self.files.root, lease=limits.lease)
        self.models: tuple[ModelFacts, ...] = ()
        self.queue = JobQueue(limits.queue, limits.workers, self.store.waiting)
        self._pool = WorkerPool(config, store=self.store, files=self.files, on_end=self._end)
        self.metrics = Metrics(waiting=self._count_waiting, running=lambda: self._pool.running)
        self._loops = [
            self._pool.lease_loop,
            BackgroundLoop("recovery of jobs", self._recover, limits.lease / 5),
            BackgroundLoop("removal of jobs", self._remove_expired, min(60.0, limits.keep / 4)),
        ]

    def start(self) -> None:
        """Load the models, and start to work.

        Raises:
            UsageError, SaveAvsError: the models cannot be loaded, or two have one name.
        """
        models = self._pool.load()
        names = [model["name"] for model in models]
        if len(set(names)) < len(names):
            raise UsageError(f"Duplicate model name(s): {', '.join(names)}.")
        self.models = models
        self._pool.start()
        for loop in self._loops[1:]:
            loop.start()

    def close(self) -> None:
        """Stop working. Jobs that are not done stay accepted, for another server."""
        for loop in self._loops[1:]:
            loop.close()
        self._pool.close()
        self.store.close()

    @property
    def ready(self) -> bool:
        """Whether a worker can take a job."""
        return self._pool.ready and not self._loops[1].problem

    @property
    def problems(self) -> list[str]:
        """What fails in the background, a line each."""
        lines = [] if self._pool.ready else ["No worker is ready."]
        return lines + [loop.problem for loop in self._loops if loop.problem]

    def accept(self, incoming: Path, job: Job) -> JobRecord:
        """Queue a job, whose files arrived in a folder of ``files.incoming``.

        Raises:
            UsageError: no such model.
        """
        prompt = self.prompt_model if isinstance(job.options, PromptOptions) else None
        names = [prompt] if prompt else [model["name"] for model in self.models]
        job.options.model = job.options.model or names[0]
        if job.options.model not in names:
            raise UsageError(f"Unknown model {job.options.model!r}. Choose from: {', '.join(names)}.")
        self.files.adopt(incoming, job.id)
        try:
            stored = self.store.add(job)
        except ServiceError:
            self.files.remove(job.id)
            raise
        self._pool.wake()
        log_job("job accepted", job.id)
        return stored

    def cancel(self, job: Job) -> JobRecord:
        """Stop a job, wait until it has stopped, and return it; a ServiceError if it has ended already."""
        now = self.store.cancel(job.id)
        if now is None:
            found = self.store.find(job.id)
            raise ServiceError("ended", f"The job has already ended: {found.state if found else 'deleted'}.")
        if now.state.ended:
            self._end(now)
        self._pool.cancel(job.id)
        limit = time.monotonic() + 2 * self.limits.lease  # by then a server that was killed is replaced
        while not now.state.ended and time.monotonic() < limit:
            time.sleep(_CANCEL_POLL)
            now = self.store.find(job.id) or now.model_copy(update={"state": JobState.CANCELLED})
        return now

    def delete(self, job: Job) -> None:
        """Remove a job with its files, stopping it first if it runs."""
        try:
            self.cancel(job)
        except ServiceError as error:
            if error.code != "ended":
                raise
        self._remove(job.id)

    def _remove(self, id: str) -> None:
        self.files.remove(id)  # before its row: frees space on a full disk
        self.store.remove(id)

    def _end(self, job: JobRecord) -> None:
        """Clean up after a job that has ended here, and count it."""
        code = job.error.code if job.error else ""
        self.metrics.ended.labels(job.state, code).inc()
        phases: dict[str, float] = {}
        if job.started is not None and job.ended is not None:
            self.metrics.seconds.observe(job.ended - job.started)
            self.queue.record_duration(job.ended - job.started)
            phases["queue"] = job.started - job.created
            if job.state is JobState.DONE:
                phases |= (read_summary(self.files.result(job)) or {}).get("phase_seconds", {})
        for phase, seconds in phases.items():
            self.metrics.phases.labels(phase).observe(seconds)
        log_job("job ended", job.id, state=job.state, error=code, attempts=job.attempts, seconds=phases)
        self.files.clear(job)

    def _count_waiting(self) -> float:
        try:
            return self.store.waiting()
        except ServiceError:
            return math.nan

    def _recover(self) -> None:
        for job in self.store.recover():
            self._end(job)

    def _remove_expired(self) -> None:
        for id in self.store.expired(self.limits.keep):
            self._remove(id)
        age = self.limits.keep + self.limits.time
        self.files.sweep(age, known=lambda id: self.store.find(id) is not None)
