"""A supervised worker process: typed messages, limits on time and memory, replacement after death.

Videos from anywhere crash decoders, fill memory and hang. ``WorkerProcess`` runs such work in a child and
turns whatever happens there into an outcome; the child never outlives its parent.

    def set_up(channel: Channel, name: str) -> tuple[str, Callable[[int], int]]:  # runs in the child
        model = load(name)
        return model.name, lambda task: model(task)

    worker = WorkerProcess(set_up, "save-small")
    match worker.run(7, Limits(seconds=60, memory=8_000_000_000)):
        case Completed(value): ...
        case Raised() | Died() | TimedOut() | MemoryExceeded() | Stopped(): ...
"""

import multiprocessing
import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from multiprocessing.connection import Connection
from threading import Event, Lock, RLock, Thread
from typing import Any, Generic, TypeVar

import psutil

from save_avs.errors import SaveAvsError

Info = TypeVar("Info")
Task = TypeVar("Task")
Result = TypeVar("Result")

# A fresh interpreter: a forked copy of a process with threads, ours and torch's, may deadlock.
_context = multiprocessing.get_context("spawn")
_POLL = 0.05  # seconds between two checks of the limits
_START_TIMEOUT = 600.0  # seconds that ``set_up`` may take
_JOIN_TIMEOUT = 5.0  # seconds in which a process that closed its pipe must end


class WorkerStartError(SaveAvsError):
    """The process died or hung before it was ready."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a task may take before the child is killed."""

    seconds: float = inf  # in total
    silence: float = inf  # seconds between two messages, heartbeats included
    memory: float = inf  # bytes of the child's resident set, polled every 50 ms


@dataclass(frozen=True)
class Completed(Generic[Result]):
    """The handler returned ``value``."""

    value: Result


@dataclass(frozen=True)
class Raised:
    """The handler raised ``error``; the child is not trusted any further and was killed."""

    error: Exception
    traceback: str = ""


@dataclass(frozen=True)
class Died:
    """The child ended by itself. ``began``: it had sent something about the task before."""

    reason: str
    began: bool


@dataclass(frozen=True)
class TimedOut:
    """The child was killed after ``seconds``, in total or, with ``silent``, without any message."""

    seconds: float
    silent: bool = False


@dataclass(frozen=True)
class MemoryExceeded:
    """The child was killed because it held more than ``limit`` bytes."""

    limit: float


@dataclass(frozen=True)
class Stopped:
    """The child was killed because the caller asked for it."""


Failure = Raised | Died | TimedOut | MemoryExceeded | Stopped


class Channel:
    """The child's end of the pipe: what ``set_up`` and the handler may send, from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = Lock()

    def send(self, message: object) -> None:
        """Send a message about the task to the parent's ``on_message``; None only shows progress."""
        with self._sending:
            self._connection.send(message)


SetUp = Callable[..., tuple[Info, Callable[[Task], Result]]]


class WorkerProcess(Generic[Info, Task, Result]):
    """A child process that handles one task at a time, and is replaced when it has died.

    ``close`` and the properties may be used while another thread is in ``start`` or ``run``.

    Args:
        set_up: called once in each child as ``set_up(channel, *arguments)``; a module-level function.
            Returns what the child reports about itself, and the handler of tasks.
        arguments: for ``set_up``; pickled, as tasks, results and messages are.
        start_attempts: how many children may die in ``set_up`` before ``start`` gives up.
    """

    def __init__(self, set_up: SetUp[Info, Task, Result], *arguments: Any, start_attempts: int = 1) -> None:
        self._set_up, self._arguments, self._start_attempts = set_up, arguments, start_attempts
        self._process: Any = None
        self._connection: Any = None
        self._ready: Completed[Info] | None = None
        self._closed = Event()
        self._in_use = RLock()

    @property
    def alive(self) -> bool:
        """Whether a child is ready for tasks."""
        process = self._process
        return self._ready is not None and process is not None and process.is_alive()

    @property
    def pid(self) -> int | None:
        """Process id of the child, None without one."""
        return getattr(self._process, "pid", None)

    def start(self, *, stop: Event | None = None) -> Info:
        """Start a child unless one is ready, and return what its ``set_up`` reported.

        Raises:
            WorkerStartError: it died, took too long, or was stopped.
            Exception: what ``set_up`` raised.
        """
        with self._in_use:
            if self._ready is not None and self.alive:
                return self._ready.value
            reason = ""
            for _ in range(self._start_attempts):
                if not self._closed.is_set():
                    self._spawn()
                match outcome := self._supervise(Limits(seconds=_START_TIMEOUT), stop):
                    case Completed():
                        self._ready = outcome
                        return outcome.value
                    case Raised():
                        raise outcome.error
                    case Died(text):
                        reason = f"{text} while it started"
                    case TimedOut(seconds):
                        reason = f"was not ready after {seconds:g} s"
                    case _:
                        raise WorkerStartError("the worker was stopped while it started")
            raise WorkerStartError(f"the worker {reason} (attempts: {self._start_attempts})")

    def run(
        self,
        task: Task,
        limits: Limits = Limits(),
        *,
        stop: Event | None = None,
        on_message: Callable[[Any], Any] = lambda _: None,
    ) -> Completed[Result] | Failure:
        """Have a task handled, by a new child where there is none, and return the outcome.

        The child is killed when it exceeds a limit or ``stop`` is set; ``on_message`` is called with each
        message of the handler. Raises what ``start`` does.
        """
        with self._in_use:
            try:
                self.start(stop=stop)
            except WorkerStartError:
                if self._closed.is_set() or (stop and stop.is_set()):
                    return Stopped()
                raise
            with suppress(OSError):  # of a child that has just died, as the first receive finds
                self._connection.send(task)
            return self._supervise(limits, stop, on_message)

    def close(self) -> None:
        """Kill the child for good; a task that it handles ends as ``Stopped``."""
        self._closed.set()
        with self._in_use:
            self._kill()

    def _spawn(self) -> None:
        self._kill()
        self._connection, theirs = _context.Pipe()
        arguments = (theirs, self._set_up, self._arguments)
        self._process = _context.Process(target=_run_child, args=arguments, name="worker", daemon=True)
        self._process.start()
        theirs.close()

    def _supervise(
        self, limits: Limits, stop: Event | None, on_message: Callable[[Any], Any] = lambda _: None
    ) -> Completed[Any] | Failure:
        """Follow the child until it has completed; kill it in every other case."""
        start = last = time.monotonic()
        completed = False
        try:
            while (failure := self._exceeded(limits, stop, start, last)) is None:
                try:
                    if not self._connection.poll(_POLL):
                        continue
                    message = self._connection.recv()
                except (OSError, EOFError, pickle.UnpicklingError):
                    return Died(self._exit_reason(), began=last > start)
                last = time.monotonic()
                match message:
                    case Completed():
                        completed = True
                        return message
                    case Raised():
                        return message
                    case None:
                        pass
                    case _:
                        on_message(message)
            return failure
        finally:
            if not completed:
                self._kill()

    def _exceeded(self, limits: Limits, stop: Event | None, start: float, last: float) -> Failure | None:
        now = time.monotonic()
        if self._closed.is_set() or (stop and stop.is_set()):
            return Stopped()
        if now - start > limits.seconds:
            return TimedOut(limits.seconds)
        if now - last > limits.silence:
            return TimedOut(limits.silence, silent=True)
        with suppress(psutil.Error):  # the child has ended
            if limits.memory < inf and psutil.Process(self.pid).memory_info().rss > limits.memory:
                return MemoryExceeded(limits.memory)
        return None

    def _exit_reason(self) -> str:
        self._process.join(_JOIN_TIMEOUT)
        code = self._process.exitcode
        if code is None:
            return "closed its pipe"
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"

    def _kill(self) -> None:
        process, connection = self._process, self._connection
        self._process = self._connection = self._ready = None
        if process is not None:
            process.kill()
            process.join()
            connection.close()


def _raised(error: Exception) -> Raised:
    """Wrap an error; one that cannot be pickled becomes a RuntimeError with its text."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    return Raised(error, text)


def _run_child(connection: Connection, set_up: SetUp[Any, Any, Any], arguments: tuple[Any, ...]) -> None:
    """Report what ``set_up`` returns, then handle tasks until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()
    channel = Channel(connection)
    with suppress(OSError):  # the parent has closed the pipe
        try:
            info, handler = set_up(channel, *arguments)
            channel.send(Completed(info))
            while True:
                channel.send(Completed(handler(connection.recv())))
        except Exception as error:
            channel.send(_raised(error))


def _end_with_parent() -> None:
    """End with the parent, however that ends: an orphan would write into a successor's folders."""
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)
