"""What the service does not let happen to it: too much, too long, too late, and workers that die."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import namedtuple
from contextlib import suppress

import httpx
import pytest

from save_avs.errors import UsageError
from save_avs.serving.job import JobState
from save_avs.serving.limits import Limits
from tests.support.service import idling, journaled, names, serving


def test_an_upload_ends_at_the_limit_while_it_arrives(served):
    started = time.monotonic()

    def endless():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        while time.monotonic() < started + 30:
            yield b"x" * 65536

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = None
    with suppress(httpx.TransportError):  # the server may hang up before the answer is read
        answer = served.client.post("/v1/segment", content=endless(), headers=headers)
    assert time.monotonic() < started + 10
    assert answer is None or answer.status_code == 413
    assert names(served.service.store.root / "aside") == []
    # With a length that is known beforehand the answer is always read.
    answer = served.send(b"x" * 2_000_001)
    assert answer.status_code == 413 and "larger than 2 MB" in answer.json()["error"]["message"]
    assert served.send(b"x" * 2_000_000).status_code == 202


def test_a_full_queue_says_when_to_come_again(stalled, video):
    running = stalled.begin()
    waiting = [stalled.accepted(video) for _ in range(2)]
    answer = stalled.send(video)
    assert answer.status_code == 429 and answer.json()["error"]["code"] == "queue_full"
    assert int(answer.headers["Retry-After"]) >= 1
    assert stalled.job(waiting[1])["queue_position"] == 1
    stalled.client.post(f"/v1/jobs/{waiting[0]}/cancel")
    last = stalled.accepted(video)
    assert 'save_avs_refused_total{reason="LineFull"} 1.0' in stalled.client.get("/metrics").text
    # Nobody cancels the one that goes on and on: its time ends it, and the others are done.
    job = stalled.ended(running)
    assert job["state"] == "failed" and job["error"]["code"] == "timeout"
    assert 4.9 < job["ended"] - job["started"] < 10
    assert [stalled.ended(id)["state"] for id in (waiting[1], last)] == ["done", "done"]


def test_a_worker_that_dies_takes_only_its_job_with_it(stalled, video):
    id = stalled.begin()
    os.kill(stalled.worker(), signal.SIGSEGV)
    job = stalled.ended(id)
    assert job["state"] == "failed" and job["error"]["code"] == "crashed"
    assert "signal 11" in job["error"]["message"]
    assert stalled.ended(stalled.accepted(video))["state"] == "done"
    # One that dies while it has nothing to do costs no job.
    os.kill(stalled.worker(), signal.SIGKILL)
    job = stalled.ended(stalled.accepted(video))
    assert job["state"] == "done" and job["error"] is None
    assert stalled.client.get("/readyz").status_code == 200


def test_a_worker_that_holds_too_much_memory_is_ended(stalled, video):
    id = stalled.begin()
    (keeper,) = stalled.service._crew._keepers.values()
    assert keeper._held() > 50_000_000  # at least what torch takes
    keeper._memory = 50_000_000
    job = stalled.ended(id)
    assert job["state"] == "failed" and job["error"]["code"] == "memory"
    assert "50 MB, this server's limit" in job["error"]["message"]
    assert stalled.ended(stalled.accepted(video))["state"] == "done"  # by another worker


def test_finished_jobs_are_removed_in_time(tmp_path):
    ended = time.time()
    done = journaled(tmp_path, state=JobState.DONE, started=ended - 1, ended=ended)
    waiting = journaled(tmp_path)
    with idling(tmp_path, keep=1.0) as own:
        assert own.job(done.id)["expires"] == ended + 1
        while own.client.get(f"/v1/jobs/{done.id}").status_code == 200:
            assert time.time() < ended + 10
            time.sleep(0.05)
        assert time.time() >= ended + 1
        assert names(tmp_path / "jobs") == [waiting.id] and names(tmp_path / "aside") == []


def test_nothing_is_taken_in_when_the_disk_is_nearly_full(served, video, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    answer = served.send(video)
    assert answer.status_code == 507 and answer.json()["error"]["code"] == "disk_full"


def test_a_folder_serves_one_server(served, tiny):
    with (
        pytest.raises(UsageError, match="another server uses this folder"),
        serving(served.service.store.root, tiny),
    ):
        pass


@pytest.mark.parametrize("name", ["size", "duration", "side", "time", "memory", "queue", "workers", "keep"])
def test_limits_leave_room(name):
    with pytest.raises(UsageError, match=name):
        Limits(**{name: 0})
