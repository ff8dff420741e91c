"""A worker process as the server sees it: started, handed a job, watched, and ended when it must be."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import psutil

from save_avs.errors import SaveAvsError, UsageError
from save_avs.inference.process import PipedProcess
from save_avs.serving.job import Job, JobError, JobProgress
from save_avs.serving.worker import Ended, Message, Ready, Unfit, Warned, WorkerConfig, work

_LOOK = 0.05  # seconds between two looks at whether to stop


class StoppedError(Exception):
    """The job was stopped before its end, and the worker with it."""


class WorkerLostError(Exception):
    """The worker was gone before it had begun with the job."""


class _GreedyError(Exception):
    """The worker holds more memory than it may."""


class WorkerProcess:
    """Holds one worker process.

    Attributes:
        models: what the worker says of its models.

    Raises:
        UsageError, SaveAvsError: the worker cannot load its models.
    """

    def __init__(self, equipment: WorkerConfig) -> None:
        self._memory = equipment.limits.memory
        self._process = PipedProcess(work, equipment)
        self._here = self._process.connection
        try:
            said = self._here.recv()
        except (EOFError, ConnectionError):
            said = Unfit(f"a worker {self._process.how_it_ended()} while it loaded its models", usage=False)
        except BaseException:
            self.end()
            raise
        if not isinstance(said, Ready):
            self.end()
            raise UsageError(said.reason) if said.usage else SaveAvsError(said.reason)
        self.models = said.models

    def run(
        self,
        job: Job,
        folder: Path,
        *,
        seconds: float,
        stop: Event,
        tell: Callable[[JobProgress | Warned], None],
    ) -> Ended:
        """Have a job done, and say what became of it. A worker that dies of it counts as its problem.

        The worker is ended when the job takes longer than ``seconds``, when ``stop`` is set, or when it holds
        more memory than it may.

        Raises:
            StoppedError: ``stop`` was set.
            WorkerLostError: the worker had died of something else.
        """
        end = time.monotonic() + seconds
        begun = False

        def hear(said: JobProgress | Warned) -> None:
            nonlocal begun
            begun = True
            tell(said)

        try:
            self._here.send((job, folder))
            return self._follow(end, stop, hear)
        except (EOFError, ConnectionError):
            if not begun:
                raise WorkerLostError from None
            end_of_it = f"the worker {self._process.how_it_ended()} on this video"
            return Ended(JobError(code="crashed", message=end_of_it))
        except TimeoutError:
            self.end()
            return Ended(
                JobError(code="timeout", message=f"not done after {seconds:g} s, this server's limit")
            )
        except _GreedyError:
            self.end()
            text = f"the video needs more memory than {self._memory / 1e6:g} MB, this server's limit"
            return Ended(JobError(code="memory", message=text))

    def _follow(self, end: float, stop: Event, tell: Callable[[JobProgress | Warned], None]) -> Ended:
        while not stop.is_set():
            if time.monotonic() > end:
                raise TimeoutError
            if self._held() > self._memory:
                raise _GreedyError
            said: Message | None = self._here.recv() if self._here.poll(_LOOK) else None
            match said:
                case Ended():
                    return said
                case JobProgress() | Warned():
                    tell(said)
        self.end()
        raise StoppedError

    def _held(self) -> int:
        """Bytes of memory that the worker has taken; 0 of one that is gone."""
        try:
            return psutil.Process(self._process.pid).memory_info().rss
        except psutil.Error:
            return 0

    @property
    def alive(self) -> bool:
        """It can take a job."""
        return self._process.alive

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.end()
