"""Admission to the queue: places, and the estimate of the waiting time."""

from __future__ import annotations

import pytest

from save_avs.serving.errors import ServiceError
from save_avs.serving.service import JobQueue


def test_a_place_is_reserved_while_a_video_arrives():
    waiting = ["a"]
    queue = JobQueue(capacity=2, workers=1, waiting=lambda: len(waiting))
    with queue.reserve(), pytest.raises(ServiceError), queue.reserve():
        pass
    with pytest.raises(RuntimeError), queue.reserve():
        raise RuntimeError  # an upload that broke off gives its place back
    with queue.reserve():
        pass
    waiting.append("b")
    with pytest.raises(ServiceError), queue.reserve():
        pass


def test_the_wait_is_estimated_from_what_jobs_take():
    queue = JobQueue(capacity=1, workers=2, waiting=lambda: 1)
    for _ in range(50):
        queue.record_duration(60.0)
    with pytest.raises(ServiceError) as error, queue.reserve():
        pass
    assert error.value.retry_after == 30
