"""The queue: in order, bounded, and without losing anyone."""

from __future__ import annotations

import threading

import pytest

from save_avs.serving.job_queue import JobQueue, QueueFullError


def test_first_come_first_served():
    line = JobQueue(places=3, workers=1)
    for id in "abc":
        line.put(id)
    assert [line.ahead(id) for id in "abcd"] == [0, 1, 2, None]
    line.drop("b")
    line.drop("nobody")
    assert line.take(0) == "a"
    line.put_back("a")
    assert [line.take(0), line.take(0), line.take(0)] == ["a", "c", None]


def test_a_place_is_taken_while_a_video_arrives():
    line = JobQueue(places=2, workers=1)
    line.put("a")
    with line.place(), pytest.raises(QueueFullError), line.place():
        pass
    with pytest.raises(RuntimeError), line.place():
        raise RuntimeError  # an upload that broke off gives its place back
    with line.place():
        line.put("b")
    with pytest.raises(QueueFullError), line.place():
        pass


def test_the_wait_is_estimated_from_what_jobs_take():
    line = JobQueue(places=1, workers=2)
    line.put("a")
    for _ in range(50):
        line.learn(60.0)
    with pytest.raises(QueueFullError) as error, line.place():
        pass
    assert error.value.retry_after == 30


def test_whoever_waits_goes_home_when_it_closes():
    line, got = JobQueue(places=1, workers=1), []
    waiting = threading.Thread(target=lambda: got.append(line.take(60)))
    waiting.start()
    line.close()
    waiting.join(5)
    assert got == [None]
