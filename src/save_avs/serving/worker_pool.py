"""The pool of workers: each runs in a process of its own, supervised by a thread."""

import logging
import time
import traceback
from collections.abc import Callable
from threading import Event, Thread

from save_avs import _process
from save_avs._process import Completed, Died, Failure, Limits, WorkerProcess, WorkerStartError
from save_avs.serving.config import WorkerConfig
from save_avs.serving.job import Job, JobError, JobState
from save_avs.serving.job_queue import JobQueue
from save_avs.serving.job_store import JobStore
from save_avs.serving.worker import JobTask, ModelFacts, set_up

_log = logging.getLogger("uvicorn.error")
_RETRY_DELAY = 2.0  # seconds before another attempt to start a worker
_POLL = 1.0  # seconds between two checks whether an idle worker is alive

Worker = WorkerProcess[tuple[ModelFacts, ...], JobTask, JobError | None]


class WorkerPool:
    """Takes jobs from the queue and runs them; ``on_end`` is called with each job that has ended here."""

    def __init__(
        self, config: WorkerConfig, *, queue: JobQueue, store: JobStore, on_end: Callable[[Job], None]
    ) -> None:
        self._queue, self._store, self._on_end = queue, store, on_end
        limits = config.limits
        self._limits = Limits(seconds=limits.time, memory=limits.memory)
        self._workers: list[Worker] = [WorkerProcess(set_up, config) for _ in range(limits.workers)]
        self._stops: dict[str, Event] = {}  # one per running job
        self._closing = Event()
        self._threads = [
            Thread(target=self._supervise, args=(worker,), daemon=True) for worker in self._workers
        ]

    def load(self) -> tuple[ModelFacts, ...]:
        """Start one worker, and return what it reports about its models."""
        return self._workers[0].start()

    def start(self) -> None:
        """Start to take jobs."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop all workers. Jobs they were running are accepted again, for the next server."""
        self._closing.set()
        for stop in list(self._stops.values()):
            stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        for worker in self._workers:
            worker.close()

    @property
    def ready(self) -> bool:
        """Whether a worker can take a job."""
        return not self._closing.is_set() and any(worker.alive for worker in self._workers)

    @property
    def running(self) -> int:
        """How many jobs are running."""
        return len(self._stops)

    def stop(self, id: str) -> bool:
        """Stop a running job, and wait for its end; False when it is not running."""
        with self._store.changed:
            stop = self._stops.get(id)
            if stop is None:
                return False
            stop.set()
            self._store.changed.wait_for(lambda: id not in self._stops)
            return True

    def _supervise(self, worker: Worker) -> None:
        """Keep a worker alive and busy; whatever happens is logged, and does not end the thread."""
        while not self._closing.is_set():
            try:
                worker.start(stop=self._closing)
                while worker.alive and not self._closing.is_set():
                    if id := self._queue.get(_POLL):
                        self._run(id, worker)
            except Exception as error:
                if not self._closing.is_set():
                    _log.error("a worker could not be started or used: %s", error)
                    self._closing.wait(_RETRY_DELAY)

    def _run(self, id: str, worker: Worker) -> None:
        store, stop = self._store, Event()
        with store.changed:
            job = store.find(id)
            if job is None or job.state.ended:
                return
            self._stops[id] = stop
            job = store.change(id, state=JobState.RUNNING, started=time.time(), attempts=job.attempts + 1)
        if self._closing.is_set():
            stop.set()
        try:
            outcome = worker.run(
                (job, store.folder(job)),
                self._limits,
                stop=stop,
                on_message=lambda message: store.record(id, message),
            )
        except WorkerStartError as error:
            outcome = Died(str(error), began=False)
        except Exception as error:
            outcome = _process.Raised(error, traceback.format_exc())
        with store.changed:
            del self._stops[id]
            state, problem = self._result(outcome)
            if state is JobState.ACCEPTED:
                store.change(id, state=state, started=None, attempts=job.attempts - 1, warnings=[])
                self._queue.put(id, first=True)
            else:
                self._on_end(store.finish(id, state, problem))

    def _result(self, outcome: Completed[JobError | None] | Failure) -> tuple[JobState, JobError | None]:
        """The state of a job after an outcome; ACCEPTED when it must be run again."""
        match outcome:
            case Completed(None):
                return JobState.DONE, None
            case Completed(error):
                return JobState.FAILED, error
            case _process.Stopped():
                return (JobState.ACCEPTED if self._closing.is_set() else JobState.CANCELLED), None
            case Died(began=False):  # of something else than this job
                return JobState.ACCEPTED, None
            case Died(reason):
                code, text = "crashed", f"The worker {reason} on this video."
            case _process.TimedOut(seconds):
                code, text = "timeout", f"The job took longer than this server's limit of {seconds:g} s."
            case _process.MemoryExceeded(limit):
                code = "memory"
                text = f"The video needs more memory than this server's limit of {limit / 1e6:g} MB."
            case _process.Raised(error, trace):
                _log.error("a job failed unexpectedly: %s\n%s", error, trace)
                code, text = "internal", "The server failed: see its log."
        return JobState.FAILED, JobError(code=code, message=text)
