"""The pool of workers: each runs in a process of its own, supervised by a thread."""

import time
import traceback
from collections.abc import Callable
from threading import Event, Thread

from save_avs import _process
from save_avs._process import Completed, Died, Failure, Limits, WorkerProcess, WorkerStartError
from save_avs.serving.background import BackgroundLoop
from save_avs.serving.config import WorkerConfig
from save_avs.serving.errors import ServiceError
from save_avs.serving.job import JobError, JobProgress, JobRecord, JobState
from save_avs.serving.job_files import JobFiles
from save_avs.serving.job_store import MAX_ATTEMPTS, JobStore
from save_avs.serving.logs import log, log_job
from save_avs.serving.worker import JobTask, ModelFacts, set_up

_RETRY_DELAY = 2.0  # seconds before another attempt to start a worker, or to reach the store
_POLL = 1.0  # seconds between two looks for jobs that other servers accepted, and between two signs of life

Worker = WorkerProcess[tuple[ModelFacts, ...], JobTask, JobError | None]


class _Run:
    """A job that runs here: what its worker reported, and whether it must stop."""

    def __init__(self, job: JobRecord) -> None:
        self.job, self.stop = job, Event()
        self.progress: JobProgress | None = None
        self.cancelled = False
        self.renewed = time.monotonic()

    def cancel(self) -> None:
        self.cancelled = True
        self.stop.set()


class WorkerPool:
    """Claims jobs from the store and runs them; ``on_end`` is called with each job that has ended here."""

    def __init__(
        self, config: WorkerConfig, *, store: JobStore, files: JobFiles, on_end: Callable[[JobRecord], None]
    ) -> None:
        self._store, self._files, self._on_end = store, files, on_end
        limits = config.limits
        self._lease = limits.lease
        self._limits = Limits(seconds=limits.time, memory=limits.memory)
        self._workers: list[Worker] = [WorkerProcess(set_up, config) for _ in range(limits.workers)]
        self._runs: dict[str, _Run] = {}  # by the id of the job
        self._closing, self._accepted = Event(), Event()
        self._threads = [
            Thread(target=self._supervise, args=(worker,), daemon=True) for worker in self._workers
        ]
        self.lease_loop = BackgroundLoop("sign of life", self._renew_all, min(_POLL, limits.lease / 5))

    def load(self) -> tuple[ModelFacts, ...]:
        """Start one worker, and return what it reports about its models."""
        return self._workers[0].start()

    def start(self) -> None:
        """Start to take jobs."""
        self.lease_loop.start()
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop all workers. Jobs they were running are accepted again, for another server."""
        self._closing.set()
        self._accepted.set()
        for run in list(self._runs.values()):
            run.stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self.lease_loop.close()
        for worker in self._workers:
            worker.close()

    @property
    def ready(self) -> bool:
        """Whether a worker can take a job."""
        return not self._closing.is_set() and any(worker.alive for worker in self._workers)

    @property
    def running(self) -> int:
        """How many jobs are running."""
        return len(self._runs)

    def wake(self) -> None:
        """Look for a job now."""
        self._accepted.set()

    def cancel(self, id: str) -> None:
        """Stop a job if it runs here."""
        if run := self._runs.get(id):
            run.cancel()

    def _supervise(self, worker: Worker) -> None:
        """Keep a worker alive and busy; whatever happens is logged, and does not end the thread."""
        while not self._closing.is_set():
            try:
                worker.start(stop=self._closing)
                while worker.alive and not self._closing.is_set():
                    self._accepted.clear()
                    if job := self._store.claim():
                        self._run(job, worker)
                    else:
                        self._accepted.wait(_POLL)
            except Exception as error:
                if not self._closing.is_set():
                    log.error("a worker could not be started or used: %s", error)
                    self._closing.wait(_RETRY_DELAY)

    def _run(self, job: JobRecord, worker: Worker) -> None:
        run = self._runs[job.id] = _Run(job)
        log_job("job started", job.id, attempt=job.attempts)
        try:
            if self._closing.is_set():
                run.stop.set()
            self._conclude(run, self._segment(run, worker))
        finally:
            del self._runs[job.id]

    def _segment(self, run: _Run, worker: Worker) -> Completed[JobError | None] | Failure:
        def take(message: JobProgress | str) -> None:
            if isinstance(message, str):
                run.job.warnings.append(message)
                return
            news = run.progress is None or run.progress.phase != message.phase
            run.progress = message
            if news:
                self.lease_loop.wake()

        task = (run.job, self._files.folder(run.job.id))
        try:
            return worker.run(task, self._limits, stop=run.stop, on_message=take)
        except WorkerStartError as error:
            return Died(str(error), began=False)
        except Exception as error:
            return _process.Raised(error, traceback.format_exc())

    def _conclude(self, run: _Run, outcome: Completed[JobError | None] | Failure) -> None:
        """Record an outcome, as soon as the store can be reached."""
        state, problem = self._result(run, outcome)
        while True:
            try:
                if state is JobState.ACCEPTED:
                    counted = isinstance(outcome, Died) and outcome.began
                    return self._store.release(run.job, count=counted)
                if ended := self._store.finish(run.job, state, problem):
                    return self._on_end(ended)
                log_job("job lost to another server", run.job.id)
                return None
            except ServiceError as error:
                log.error("the end of a job cannot be recorded yet: %s", error, extra={"job": run.job.id[:8]})
                if self._closing.wait(_RETRY_DELAY):
                    return None  # another server runs it again

    def _renew_all(self) -> None:
        """Show that this server lives, and stop jobs that are cancelled or no longer its own."""
        problem = None
        for run in list(self._runs.values()):
            now = time.monotonic()
            try:
                held = self._store.renew(run.job, run.progress, run.job.warnings)
            except ServiceError as error:
                problem = error
                if now - run.renewed < self._lease:
                    continue
                held = None
            run.renewed = now
            if held is None:
                run.stop.set()
            elif held.cancel:
                run.cancel()
        if problem:
            raise problem

    def _result(
        self, run: _Run, outcome: Completed[JobError | None] | Failure
    ) -> tuple[JobState, JobError | None]:
        """The state of a job after an outcome; ACCEPTED when it must be run again."""
        match outcome:
            case Completed(None):
                return JobState.DONE, None
            case Completed(error):
                return JobState.FAILED, error
            case _process.Stopped():
                return (JobState.CANCELLED if run.cancelled else JobState.ACCEPTED), None
            case Died(began=False):  # of something else than this job
                return JobState.ACCEPTED, None
            case Died(reason) if reason.endswith("signal 9") and run.job.attempts < MAX_ATTEMPTS:
                return JobState.ACCEPTED, None  # killed by someone, or by the system for want of memory
            case Died(reason):
                code, text = "crashed", f"The worker {reason} on this video."
            case _process.TimedOut(seconds):
                code, text = "timeout", f"The job took longer than this server's limit of {seconds:g} s."
            case _process.MemoryExceeded(limit):
                code = "memory"
                text = f"The video needs more memory than this server's limit of {limit / 1e6:g} MB."
            case _process.Raised(error, trace):
                log.error("a job failed unexpectedly: %s\n%s", error, trace)
                code, text = "internal", "The server failed: see its log."
        return JobState.FAILED, JobError(code=code, message=text)
