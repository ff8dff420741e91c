"""Overlap: an iterator that runs in a thread of its own, a few items ahead of whoever reads it."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _End:
    error: BaseException | None


class Prefetcher(Generic[T]):
    """Draws items from an iterable in a thread, at most ``depth`` ahead of the reader.

    Use it as a context manager and read it once. An error of the iterable is raised where it is read.
    Leaving the block, for whatever reason, stops the thread after the item it works on, and closes the
    iterable there.
    FFmpeg, torch and numpy release the interpreter's lock, so stages chained this way do overlap.
    """

    def __init__(self, items: Iterable[T], depth: int = 1) -> None:
        self._items = items
        self._queue: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        # A daemon: should leaving the block itself be interrupted, the program still ends.
        self._thread = threading.Thread(target=self._draw, name="save-avs-ahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __iter__(self) -> Iterator[T]:
        while not isinstance(item := self._queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        while self._thread.is_alive():  # it may wait for room in the queue
            with contextlib.suppress(queue.Empty):
                self._queue.get(timeout=0.02)
        self._thread.join()

    def _draw(self) -> None:
        end = _End(None)
        try:
            iterator = iter(self._items)
            with contextlib.ExitStack() as stack:
                if isinstance(iterator, Generator):
                    stack.callback(iterator.close)
                for item in iterator:
                    self._queue.put(item)
                    if self._stop.is_set():
                        break
        except BaseException as error:
            end = _End(error)
        self._queue.put(end)
