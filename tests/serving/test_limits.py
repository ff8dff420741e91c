"""Limits of the service: uploads, queue, time, memory, disk, and workers that die."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import namedtuple
from contextlib import suppress
from unittest.mock import patch

import httpx
import pytest

from save_avs._process import Limits
from save_avs.errors import UsageError
from save_avs.serving.config import ServiceLimits
from save_avs.serving.job import JobState
from tests.support.service import idle_service, journaled, names


def test_an_endless_upload_is_cut_off_at_the_size_limit(served):
    cut_off = True

    def endless():
        nonlocal cut_off
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        end = time.monotonic() + 120
        while time.monotonic() < end:
            yield b"x" * 65536
        cut_off = False

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = None
    with suppress(httpx.TransportError):  # the server may hang up before the answer is read
        answer = served.client.post("/v1/segment", content=endless(), headers=headers)
    assert cut_off
    assert answer is None or answer.status_code == 413
    assert names(served.service.files.root / "tmp") == []
    # With a length that is known beforehand the answer is always read.
    answer = served.send(b"x" * 2_000_001)
    assert answer.status_code == 413 and "limit of 2 MB" in answer.json()["error"]["message"]
    assert served.send(b"x" * 2_000_000).status_code == 202


def test_a_full_queue_answers_429_with_retry_after(stalled, video):
    running = stalled.begin()
    waiting = [stalled.accepted(video) for _ in range(2)]
    answer = stalled.send(video)
    assert answer.status_code == 429 and answer.json()["error"]["code"] == "queue_full"
    assert int(answer.headers["Retry-After"]) >= 1
    assert stalled.job(waiting[1])["queue_position"] == 1
    stalled.client.post(f"/v1/jobs/{waiting[0]}/cancel")
    last = stalled.accepted(video)
    assert 'save_avs_refused_total{reason="queue_full"} 1.0' in stalled.client.get("/metrics").text
    stalled.client.post(f"/v1/jobs/{running}/cancel")
    assert [stalled.ended(id)["state"] for id in (waiting[1], last)] == ["done", "done"]


def test_a_job_beyond_the_time_limit_is_ended(stalled, video, monkeypatch):
    monkeypatch.setattr(stalled.service._pool, "_limits", Limits(seconds=1))
    job = stalled.ended(stalled.ask_for(stalled.host.url))
    assert job["state"] == "failed" and job["error"]["code"] == "timeout"
    assert "limit of 1 s" in job["error"]["message"] and job["ended"] - job["started"] >= 1
    monkeypatch.undo()
    assert stalled.ended(stalled.accepted(video))["state"] == "done"  # by another worker


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


def test_a_worker_beyond_the_memory_limit_is_replaced(stalled, video, monkeypatch):
    pool = stalled.service._pool
    monkeypatch.setattr(pool, "_limits", Limits(memory=50e6))  # less than torch takes
    job = stalled.ended(stalled.accepted(video))
    assert job["state"] == "failed" and job["error"]["code"] == "memory"
    assert "limit of 50 MB" in job["error"]["message"]
    monkeypatch.undo()
    assert stalled.ended(stalled.accepted(video))["state"] == "done"  # by another worker


def test_a_finished_job_is_removed_after_its_keeping_time(tmp_path, monkeypatch):
    ended = time.time()
    done = journaled(tmp_path, state=JobState.DONE, started=ended - 1, ended=ended)
    waiting = journaled(tmp_path)
    with idle_service(tmp_path, keep=3600) as own:
        removal = own.service._loops[-1]
        for now, kept in ((ended + 3599, sorted([done.id, waiting.id])), (ended + 3601, [waiting.id])):
            monkeypatch.setattr(own.service.store, "_now", lambda now=now: now)
            removal._function()
            assert names(tmp_path / "jobs") == kept
        assert names(tmp_path / "tmp") == []
        assert own.client.get(f"/v1/jobs/{done.id}").status_code == 404


def test_an_upload_is_refused_when_the_disk_is_nearly_full(served, video, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    answer = served.send(video)
    assert answer.status_code == 507 and answer.json()["error"]["code"] == "disk_full"


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 3 MB."""
    if os.geteuid() != 0 or subprocess.call(["mount", "-t", "tmpfs", "-o", "size=3m", "none", tmp_path]):
        pytest.skip("mounting a file system needs root")
    yield tmp_path
    subprocess.check_call(["umount", "--lazy", tmp_path])


def test_a_disk_that_fills_up_refuses_uploads_and_nothing_else(small_disk, video):
    with idle_service(small_disk, size=200_000) as own:
        id = own.accepted(video)
        filler = small_disk / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        assert shutil.disk_usage(small_disk).free == 0
        assert own.send(video).status_code == 507
        with patch.object(
            shutil, "disk_usage", lambda _: namedtuple("usage", "free")(10**9)
        ):  # until it is written
            answer = own.send(b"x" * 100_000)
        assert answer.status_code == 507 and answer.json()["error"]["code"] == "disk_full"
        assert names(small_disk / "tmp") == []
        for path in ("/healthz", "/metrics", "/v1/models", f"/v1/jobs/{id}"):
            assert own.client.get(path).status_code == 200
        assert own.client.post(f"/v1/jobs/{id}/cancel").json()["state"] == "cancelled"
        assert own.client.delete(f"/v1/jobs/{id}").status_code == 204
        assert names(small_disk / "jobs") == names(small_disk / "tmp") == []
        filler.unlink()
        assert own.send(video).status_code == 202


@pytest.mark.parametrize(
    "name", ["size", "duration", "side", "time", "memory", "queue", "workers", "keep", "lease"]
)
def test_a_limit_of_zero_is_refused(name):
    with pytest.raises(UsageError, match=f"Invalid limit {name}=0"):
        ServiceLimits(**{name: 0})
