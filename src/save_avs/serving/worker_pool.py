"""The workers of a server, each kept busy by a thread of its own and replaced when it dies."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from save_avs.errors import SaveAvsError
from save_avs.serving.job import Job, JobError, JobState
from save_avs.serving.job_queue import JobQueue
from save_avs.serving.job_registry import JobRegistry
from save_avs.serving.job_store import JobStore
from save_avs.serving.worker import WorkerConfig
from save_avs.serving.worker_process import StoppedError, WorkerLostError, WorkerProcess

_log = logging.getLogger("uvicorn.error")
_PAUSE = 2.0  # seconds before another try to start a worker
_LOOK = 1.0  # seconds between two looks at whether an idle worker lives


class WorkerPool:
    """Takes jobs from the line and has them done.

    Args:
        equipment: of each worker.
        on_end: called with each job that has ended here.
    """

    def __init__(
        self,
        equipment: WorkerConfig,
        *,
        line: JobQueue,
        register: JobRegistry,
        store: JobStore,
        on_end: Callable[[Job], None],
    ) -> None:
        self._equipment, self._line, self._register, self._shelf = equipment, line, register, store
        self._on_end = on_end
        self._keepers: dict[int, WorkerProcess] = {}
        self._stops: dict[str, threading.Event] = {}  # of the jobs that run
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, first: WorkerProcess) -> None:
        """Begin, with one worker that is there already."""
        for number in range(self._equipment.limits.workers):
            keeper = first if number == 0 else None
            thread = threading.Thread(
                target=self._keep, args=(number, keeper), name="save-avs-crew", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """End all workers. Jobs they were at are accepted again, for the next server."""
        self._closing.set()
        for stop in list(self._stops.values()):
            stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def ready(self) -> bool:
        """Some worker can take a job."""
        return not self._closing.is_set() and any(keeper.alive for keeper in list(self._keepers.values()))

    @property
    def running(self) -> int:
        """How many jobs run now."""
        return len(self._stops)

    def stop(self, id: str) -> bool:
        """Stop a job that runs, and wait for its end; False when it does not run."""
        with self._register.changed:
            stop = self._stops.get(id)
            if stop is None:
                return False
            stop.set()
            self._register.changed.wait_for(lambda: id not in self._stops)
            return True

    def _keep(self, number: int, keeper: WorkerProcess | None) -> None:
        while not self._closing.is_set():
            keeper = keeper or self._hire()
            if keeper is not None:
                self._keepers[number] = keeper
                self._employ(keeper)
                keeper.end()
                keeper = None

    def _hire(self) -> WorkerProcess | None:
        try:
            return WorkerProcess(self._equipment)
        except SaveAvsError as error:
            _log.error("a worker could not be started: %s", error)
            self._closing.wait(_PAUSE)
            return None

    def _employ(self, keeper: WorkerProcess) -> None:
        """Give a worker one job after another, for as long as it lives."""
        while keeper.alive and not self._closing.is_set():
            if id := self._line.take(_LOOK):
                self._do(id, keeper)

    def _do(self, id: str, keeper: WorkerProcess) -> None:
        register, stop = self._register, threading.Event()
        with register.changed:
            job = register.find(id)
            if job is None or job.state.ended:
                return
            self._stops[id] = stop
            job = register.change(id, state=JobState.RUNNING, started=time.time(), attempts=job.attempts + 1)
        state, problem = JobState.CANCELLED, None
        try:
            problem = keeper.run(
                job,
                self._shelf.folder(job),
                seconds=self._equipment.limits.time,
                stop=stop,
                tell=lambda said: register.note(id, said),
            ).problem
            state = JobState.DONE if problem is None else JobState.FAILED
        except WorkerLostError:
            state = JobState.ACCEPTED
        except StoppedError:
            if self._closing.is_set():
                state = JobState.ACCEPTED
        except Exception:
            _log.exception("job %s", id)
            state, problem = (
                JobState.FAILED,
                JobError(code="internal", message="the server failed; its log says where"),
            )
            keeper.end()
        with register.changed:
            del self._stops[id]
            if state is JobState.ACCEPTED:
                register.change(id, state=state, started=None, attempts=job.attempts - 1, warnings=[])
                self._line.put_back(id)
            else:
                self._on_end(register.end(id, state, problem))
