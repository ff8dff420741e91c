from __future__ import annotations

import threading
import time

import pytest

from save_avs.inference.prefetch import Prefetcher


def test_prefetcher_yields_every_item_in_order():
    with Prefetcher(range(100)) as items:
        assert list(items) == list(range(100))


def test_prefetcher_iterates_in_another_thread():
    def names():
        yield threading.current_thread()

    with Prefetcher(names()) as threads:
        assert next(iter(threads)) is not threading.current_thread()


def test_prefetcher_stays_within_its_depth():
    yielded = []
    third = threading.Event()

    def items():
        for i in range(10):
            yielded.append(i)
            if i == 2:
                third.set()
            yield i

    with Prefetcher(items(), depth=2) as ahead:
        assert third.wait(5)
        time.sleep(0.05)
        assert yielded == [0, 1, 2]  # two in the queue, one that waits for space
        next(iter(ahead))


def test_error_of_the_iterable_is_raised_in_the_consumer():
    def items():
        yield 1
        raise OSError("torn")

    with Prefetcher(items()) as ahead, pytest.raises(OSError, match="torn"):
        list(ahead)


def test_leaving_the_block_stops_the_thread_and_closes_the_iterable():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield bytes(10)
        finally:
            closed.set()

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Prefetcher(items()) as ahead:
        next(iter(ahead))
        raise KeyboardInterrupt
    assert closed.is_set()
    assert threading.active_count() == before


def test_chained_prefetchers_stop_together():
    closed = []

    def source():
        try:
            i = 0
            while True:
                yield (i := i + 1)
        finally:
            closed.append("source")

    before = threading.active_count()
    with Prefetcher(source()) as first, Prefetcher(x * 2 for x in first) as second:
        assert next(iter(second)) == 2
    assert closed == ["source"]
    assert threading.active_count() == before
