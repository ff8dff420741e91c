"""The queue of jobs that wait for a worker, bounded."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from save_avs.serving.errors import ServiceError


class JobQueue:
    """Ids of waiting jobs, first come, first served; thread-safe.

    A place, of ``capacity``, is reserved before a video is read, so that no video is uploaded in vain. The
    waiting time is estimated for as many ``workers``.
    """

    def __init__(self, capacity: int, workers: int) -> None:
        self._capacity, self._workers = capacity, workers
        self._waiting: deque[str] = deque()
        self._reserved = 0
        self._job_seconds = 5.0  # duration of a job, a running average
        self._open = True
        self._changed = Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Hold a place while a video arrives; a ServiceError if there is none."""
        with self._changed:
            if len(self._waiting) + self._reserved >= self._capacity:
                wait = max(1, round(self._job_seconds / self._workers))
                text = f"The queue is full: try again in {wait} s."
                raise ServiceError("queue_full", text, retry_after=wait)
            self._reserved += 1
        try:
            yield
        finally:
            with self._changed:
                self._reserved -= 1

    def put(self, id: str, *, first: bool = False) -> None:
        """Add a job at the end, or at the front: one that was taken but not started."""
        with self._changed:
            (self._waiting.appendleft if first else self._waiting.append)(id)
            self._changed.notify()

    def get(self, timeout: float) -> str | None:
        """Take the first job; None when none has come after ``timeout`` seconds or the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._open, timeout)
            return self._waiting.popleft() if self._open and self._waiting else None

    def remove(self, id: str) -> None:
        """Remove a job if it waits."""
        with self._changed:
            if id in self._waiting:
                self._waiting.remove(id)

    def position(self, id: str) -> int | None:
        """Return how many jobs are ahead of this one; None when it does not wait."""
        with self._changed:
            return self._waiting.index(id) if id in self._waiting else None

    def record_duration(self, seconds: float) -> None:
        """Update the estimate of what a job takes."""
        self._job_seconds += 0.2 * (seconds - self._job_seconds)

    def close(self) -> None:
        """Wake all waiters and stop handing out jobs."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
