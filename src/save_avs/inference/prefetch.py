"""Prefetching: an iterator that runs in a thread of its own, a few items ahead of its consumer."""

import contextlib
import queue
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _End:
    error: BaseException | None


class Prefetcher(Generic[T]):
    """Iterates in a thread, at most ``depth`` items ahead of the consumer.

    Use it as a context manager and iterate over it once. An error of the iterable is raised in the consumer.
    Leaving the block, for whatever reason, stops the thread after its current item, and closes the iterable
    there. FFmpeg, torch and NumPy release the interpreter's lock, so chained stages overlap.
    """

    def __init__(self, items: Iterable[T], depth: int = 1) -> None:
        self.worked = 0.0  # seconds that the iterable took for its items so far
        self.waited = 0.0  # seconds that the consumer waited for them
        self._items = items
        self._queue: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        # A daemon: if leaving the block itself is interrupted, the program can still end.
        self._thread = threading.Thread(target=self._iterate, name="save-avs-prefetch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __iter__(self) -> Iterator[T]:
        while True:
            start = time.perf_counter()
            item = self._queue.get()
            self.waited += time.perf_counter() - start
            if isinstance(item, _End):
                break
            yield item
        if item.error is not None:
            raise item.error

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():  # it may be blocked on a full queue
            with contextlib.suppress(queue.Empty):
                self._queue.get(timeout=0.02)
        self._thread.join()

    def _iterate(self) -> None:
        end = _End(None)
        try:
            iterator = iter(self._items)
            with contextlib.ExitStack() as stack:
                if isinstance(iterator, Generator):
                    stack.callback(iterator.close)
                start = time.perf_counter()
                for item in iterator:
                    self.worked += time.perf_counter() - start
                    self._queue.put(item)
                    if self._stop.is_set():
                        break
                    start = time.perf_counter()
        except BaseException as error:
            end = _End(error)
        self._queue.put(end)
