"""Admission to the queue of waiting jobs, which is bounded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from save_avs.serving.errors import ServiceError


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
