"""The job queue: order, capacity, and no job lost."""

from __future__ import annotations

import threading

import pytest

from save_avs.serving.errors import ServiceError
from save_avs.serving.job_queue import JobQueue


def test_first_come_first_served():
    queue = JobQueue(capacity=3, workers=1)
    for id in "abc":
        queue.put(id)
    assert [queue.position(id) for id in "abcd"] == [0, 1, 2, None]
    queue.remove("b")
    queue.remove("nobody")
    assert queue.get(0) == "a"
    queue.put("a", first=True)
    assert [queue.get(0), queue.get(0), queue.get(0)] == ["a", "c", None]


def test_a_place_is_reserved_while_a_video_arrives():
    queue = JobQueue(capacity=2, workers=1)
    queue.put("a")
    with queue.reserve(), pytest.raises(ServiceError), queue.reserve():
        pass
    with pytest.raises(RuntimeError), queue.reserve():
        raise RuntimeError  # an upload that broke off gives its place back
    with queue.reserve():
        queue.put("b")
    with pytest.raises(ServiceError), queue.reserve():
        pass


def test_the_wait_is_estimated_from_what_jobs_take():
    queue = JobQueue(capacity=1, workers=2)
    queue.put("a")
    for _ in range(50):
        queue.record_duration(60.0)
    with pytest.raises(ServiceError) as error, queue.reserve():
        pass
    assert error.value.retry_after == 30


def test_closing_wakes_a_waiting_worker():
    queue, got = JobQueue(capacity=1, workers=1), []
    waiting = threading.Thread(target=lambda: got.append(queue.get(60)))
    waiting.start()
    queue.close()
    waiting.join(5)
    assert got == [None]
