"""The service behind the REST API: accepts videos, has them segmented, and removes them in time."""

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from save_avs.errors import SaveAvsError, UsageError
from save_avs.serving.config import WorkerConfig
from save_avs.serving.errors import ServiceError
from save_avs.serving.job import Job, JobError, JobOptions, JobState
from save_avs.serving.job_queue import JobQueue
from save_avs.serving.job_store import VIDEO, JobStore, safe_name
from save_avs.serving.worker import ModelFacts
from save_avs.serving.worker_pool import WorkerPool

_log = logging.getLogger("uvicorn.error")
_MAX_ATTEMPTS = 2  # a job that was running when its server was killed this often may be the reason
_BUCKETS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)  # seconds


class Metrics:
    """Prometheus metrics of one service, in a registry of their own; each scrape calls both functions."""

    def __init__(self, *, waiting: Callable[[], int], running: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        self.ended = Counter("save_avs_jobs_ended", "Jobs that ended", ["state", "error"], registry=registry)
        self.refused = Counter("save_avs_refused", "Uploads refused", ["reason"], registry=registry)
        self.received = Counter("save_avs_received_bytes", "Bytes of videos", registry=registry)
        self.seconds = Histogram(
            "save_avs_job_seconds", "Duration of jobs", buckets=_BUCKETS, registry=registry
        )
        Gauge("save_avs_jobs_waiting", "Jobs in the queue", registry=registry).set_function(waiting)
        Gauge("save_avs_jobs_running", "Jobs running", registry=registry).set_function(running)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class Service:
    """Jobs in a data folder, and the workers that run them; thread-safe."""

    def __init__(self, root: Path, config: WorkerConfig) -> None:
        self.limits, self.hosts = config.limits, config.hosts
        self.store = JobStore(root)
        self.models: tuple[ModelFacts, ...] = ()
        self.queue = JobQueue(self.limits.queue, self.limits.workers)
        self._pool = WorkerPool(config, queue=self.queue, store=self.store, on_end=self._count)
        self.metrics = Metrics(waiting=lambda: len(self.queue), running=lambda: self._pool.running)
        self._closing = Event()
        self._cleaner = Thread(target=self._remove_expired, name="save-avs-cleaner", daemon=True)

    def start(self) -> None:
        """Load the models, queue the jobs that a previous server did not finish, and start to work.

        Raises:
            UsageError, SaveAvsError: the models cannot be loaded, or two have one name.
        """
        models = self._pool.load()
        names = [model["name"] for model in models]
        if len(set(names)) < len(names):
            raise UsageError(f"Duplicate model name(s): {', '.join(names)}.")
        self.models = models
        for job in self.store.load():
            self._resume(job)
        self._pool.start()
        self._cleaner.start()

    def close(self) -> None:
        """Stop working. Jobs that are not done stay accepted, for the next server."""
        self._closing.set()
        self.queue.close()
        self._pool.close()
        self.store.close()

    @property
    def ready(self) -> bool:
        """Whether a worker can take a job, and expired jobs are being removed."""
        return self._pool.ready and self._cleaner.is_alive()

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """Hold a place in the queue, and a folder, for a video on its way in; it goes into ``VIDEO``.

        Raises:
            ServiceError: the queue or the disk is full.
        """
        try:
            with _full_disk_refused(), self.queue.reserve(), self.store.incoming() as folder:
                (folder / VIDEO).mkdir()
                yield folder
        except SaveAvsError as error:
            code = error.code if isinstance(error, ServiceError) else "bad_option"
            self.metrics.refused.labels(code).inc()
            raise

    def accept(self, incoming: Path, name: str, options: JobOptions, url: str | None = None) -> Job:
        """Make a job of what arrived in the folder of ``incoming``: a video of this name, or its URL.

        Raises:
            UsageError: no such model.
        """
        names = [model["name"] for model in self.models]
        if options.model is not None and options.model not in names:
            raise UsageError(f"Unknown model {options.model!r}. Choose from: {', '.join(names)}.")
        options = options.model_copy(update={"model": options.model or names[0]})
        job = Job(name=safe_name(name), options=options, url=url)
        self.store.add(job, incoming)
        self.queue.put(job.id)
        return job

    def cancel(self, job: Job) -> Job:
        """Stop a job, wait until it has stopped, and return it; a ServiceError if it has ended already."""
        with self.store.changed:
            now = self.store.find(job.id)
            if now is None or now.state.ended:
                raise ServiceError("ended", f"The job has already ended: {now.state if now else 'deleted'}.")
            self.queue.remove(job.id)
            if not self._pool.stop(job.id):
                self._count(self.store.finish(job.id, JobState.CANCELLED))
            return self.store.find(job.id) or now

    def delete(self, job: Job) -> None:
        """Remove a job with its files, stopping it first if it runs."""
        with self.store.changed:
            if not job.state.ended:
                with suppress(ServiceError):
                    self.cancel(job)
            self.store.remove(job.id)

    def _count(self, job: Job) -> None:
        self.metrics.ended.labels(job.state, job.error.code if job.error else "").inc()
        if job.started is not None and job.ended is not None:
            self.metrics.seconds.observe(job.ended - job.started)
            self.queue.record_duration(job.ended - job.started)

    def _resume(self, job: Job) -> None:
        """Queue a job of a previous server, unless it seems to have killed it."""
        if job.state is JobState.RUNNING and job.attempts >= _MAX_ATTEMPTS:
            text = f"The server was killed {job.attempts} times while it worked on this video."
            self._count(self.store.finish(job.id, JobState.FAILED, JobError(code="killed", message=text)))
        else:
            self.store.change(job.id, state=JobState.ACCEPTED, started=None, warnings=[])
            self.queue.put(job.id)

    def _remove_expired(self) -> None:
        keep = self.limits.keep
        while not self._closing.wait(min(60.0, keep / 4)):
            for job in self.store.all():
                if job.ended is not None and time.time() - job.ended > keep:
                    try:
                        self.delete(job)
                    except OSError as error:
                        _log.error("job %s: it cannot be removed: %s", job.id, error)


@contextmanager
def _full_disk_refused() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ServiceError("disk_full", "This server's disk is full: try again later.") from error
