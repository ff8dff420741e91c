"""The server as a program: killed, stopped, and started again on the same jobs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import save_avs
from save_avs.serving.job import JobState
from tests.support import file_server
from tests.support.service import idle_service, journaled

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(save_avs.__file__).parents[1])}


@contextmanager
def server(
    root: Path, model: Path, *options: str, cwd: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    command = [
        "serve",
        "--port",
        "0",
        "--no-page",
        "--data",
        str(root),
        "--model",
        str(model),
        "--lease",
        "5",
        *options,
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "save_avs", *command],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        address = re.search("http://127.0.0.1:[0-9]+/", line)
        assert address, line + process.stderr.read()
        with httpx.Client(base_url=address.group(), timeout=180) as client:
            yield process, client
    finally:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()


def until_ended(client: httpx.Client, id: str) -> dict:
    end = time.monotonic() + 180
    while (job := client.get(f"/v1/jobs/{id}").json())["state"] in ("accepted", "running"):
        assert time.monotonic() < end, job
        time.sleep(0.05)
    return job


def children(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in listed.stdout.split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_accepted_job_is_lost_when_the_server_ends(number, tiny, video, tmp_path):
    with file_server.serving(video.read_bytes()) as host:
        host.script.append(file_server.stall)
        allowed = ("--allow-url", host.url.split("/")[2], "--device", "cpu")
        with server(tmp_path, tiny, *allowed) as (process, client):
            running = client.post("/v1/segment", files={"url": (None, host.url)}).json()["id"]
            while client.get(f"/v1/jobs/{running}").json()["progress"]["phase"] != "fetching":
                time.sleep(0.02)
            files = {"file": ("clip.mp4", video.read_bytes())}
            waiting = [client.post("/v1/segment", files=files).json()["id"] for _ in range(3)]
            workers = children(process.pid)
            process.send_signal(number)
            code = process.wait(60)
            assert code == (-9 if number == signal.SIGKILL else 143)
            end = time.monotonic() + 60
            while any(map(alive, workers)):  # no orphan writes into what the next server works on
                assert time.monotonic() < end
                time.sleep(0.02)
        with server(tmp_path, tiny, *allowed) as (_, client):
            jobs = [until_ended(client, id) for id in (running, *waiting)]
        assert [job["state"] for job in jobs] == ["done"] * 4
        assert all("masks.json" in job["results"] for job in jobs)
        assert jobs[1]["started"] <= jobs[2]["started"] <= jobs[3]["started"]  # in the order they came


def test_the_data_folder_may_be_a_relative_path(tiny, video, tmp_path):
    with server(Path("runs/serve"), tiny, "--device", "cpu", cwd=tmp_path) as (_, client):
        for _ in range(2):
            files = {"file": ("clip.mp4", video.read_bytes())}
            job = until_ended(client, client.post("/v1/segment", files=files).json()["id"])
            assert job["state"] == "done" and job["error"] is None
            assert client.get(job["results"]["masks.json"]).json()["frames"]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_job_that_killed_its_server_three_times_has_failed(tmp_path):
    job = journaled(tmp_path, state=JobState.RUNNING, started=1.0, attempts=3)
    again = journaled(tmp_path, state=JobState.RUNNING, started=1.0, attempts=2)
    orphans = [tmp_path / "jobs" / ("f" * 32), tmp_path / "tmp" / "half"]
    for folder in orphans:
        folder.mkdir(parents=True)
        os.utime(folder, (0, 0))
    with idle_service(tmp_path) as own:
        found = own.ended(job.id)
        assert found["state"] == "failed" and found["error"]["code"] == "killed"
        assert "killed 3 times" in found["error"]["message"]
        assert own.until(again.id, lambda job: job["attempts"] == 3)["state"] == "running"
        end = time.monotonic() + 60
        while any(folder.exists() for folder in orphans):
            assert time.monotonic() < end
            time.sleep(0.02)
