"""A process of our own at the other end of a pipe, which may die and must not outlive us."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing import parent_process
from typing import Any

# A fresh interpreter: forking a process with threads, of ours and of torch, is asking for deadlocks.
_processes = multiprocessing.get_context("spawn")


class PipedProcess:
    """Runs ``target(connection, *arguments)`` in a process of its own.

    Attributes:
        connection: our end of the pipe; the process's end is the end of the pipe.
    """

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self.connection, there = _processes.Pipe()
        self._process = _processes.Process(target=target, args=(there, *arguments), name="save-avs-worker")
        self._process.start()
        there.close()

    @property
    def pid(self) -> int | None:
        """Its number among the system's processes."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """It has not ended."""
        return self._process.is_alive()

    def kill(self) -> None:
        """Make the process end, whatever it does; whoever listens to it hears that, from any thread."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process, wait for its end, and close the pipe."""
        self._process.kill()
        self._process.join()
        self.connection.close()

    def how_it_ended(self) -> str:
        """Say in a few words what became of a process that no longer answers."""
        self._process.join(timeout=5)
        code = self._process.exitcode
        if code is None:
            return "no longer answered"
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"


def behave() -> None:
    """What such a process does first: leave Ctrl-C to its parent, and end with it, however that ends.

    An orphan would write into folders of its parent's successor.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
