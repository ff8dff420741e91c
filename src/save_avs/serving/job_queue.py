"""The jobs that wait for a worker: so many and no more."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from save_avs.errors import SaveAvsError


class QueueFullError(SaveAvsError):
    """No further job can wait. ``retry_after``: seconds after which there may be room."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"all places in the queue are taken; try again in {retry_after} s")
        self.retry_after = retry_after


class JobQueue:
    """Ids of waiting jobs, first come, first served; for any number of threads.

    A place is reserved before a video is read, so that nobody sends one in vain.

    Args:
        places: for jobs that wait or are on their way in.
        workers: how many take from it, for the estimate of a wait.
    """

    def __init__(self, places: int, workers: int) -> None:
        self._places, self._workers = places, workers
        self._waiting: deque[str] = deque()
        self._arriving = 0
        self._seconds = 5.0  # what a job takes; a running average
        self._open = True
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for as long as a video arrives.

        Raises:
            QueueFullError: when there is none.
        """
        with self._changed:
            taken = len(self._waiting) + self._arriving
            if taken >= self._places:
                raise QueueFullError(max(1, round(self._seconds / self._workers)))
            self._arriving += 1
        try:
            yield
        finally:
            with self._changed:
                self._arriving -= 1

    def put(self, id: str) -> None:
        """Add a job at the end."""
        with self._changed:
            self._waiting.append(id)
            self._changed.notify()

    def put_back(self, id: str) -> None:
        """Add a job at the front: it was taken, and nothing has come of it."""
        with self._changed:
            self._waiting.appendleft(id)
            self._changed.notify()

    def take(self, wait: float) -> str | None:
        """Take the first job; None when none has come after ``wait`` seconds, or the line is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._open, wait)
            return self._waiting.popleft() if self._open and self._waiting else None

    def drop(self, id: str) -> None:
        """Take a job out, wherever it stands; nothing when it is not there."""
        with self._changed:
            if id in self._waiting:
                self._waiting.remove(id)

    def ahead(self, id: str) -> int | None:
        """How many jobs stand before this one; None when it does not wait."""
        with self._changed:
            return self._waiting.index(id) if id in self._waiting else None

    def learn(self, seconds: float) -> None:
        """Take note of what a job took."""
        self._seconds += 0.2 * (seconds - self._seconds)

    def close(self) -> None:
        """Let everyone who waits go home."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
