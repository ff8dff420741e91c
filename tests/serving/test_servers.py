"""Several servers on one store, and servers that run out of handles, files or a database."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.serving.test_restart import server, until_ended
from tests.support import server_kills
from tests.support.service import idle_service, serving


@pytest.mark.exhaustive
def test_no_job_is_lost_or_doubled_when_servers_and_workers_are_killed(postgres_url, tmp_path):
    account, kills, runs = server_kills.run(tmp_path, postgres_url, clients=4, jobs=3, servers=2, every=0.7)
    assert account.problems == []
    assert list(account.states.values()) == ["done"] * 12
    assert kills.total() > 0 and runs >= 12


def test_a_server_shows_and_cancels_a_job_of_another(postgres_url, tmp_path):
    with (
        idle_service(tmp_path, database=postgres_url) as first,
        idle_service(tmp_path, database=postgres_url) as second,
    ):
        id = first.accepted(b"no video")
        owner = second.until(id, lambda job: job["state"] == "running")
        assert owner["progress"]["phase"] == "starting"
        assert sorted(served.service._pool.running for served in (first, second)) == [0, 1]
        other = first if second.service._pool.running else second
        assert other.client.post(f"/v1/jobs/{id}/cancel").json()["state"] == "cancelled"
        assert other.client.delete(f"/v1/jobs/{id}").status_code == 204
        assert first.client.get(f"/v1/jobs/{id}").status_code == 404


@pytest.mark.exhaustive
def test_a_server_without_file_handles_refuses_and_recovers(tiny, video, tmp_path):
    with server(tmp_path, tiny, "--device", "cpu") as (process, client):
        files = {"file": ("clip.mp4", video.read_bytes())}
        until_ended(client, client.post("/v1/segment", files=files).json()["id"])
        before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        used = max(int(path.name) for path in Path(f"/proc/{process.pid}/fd").iterdir()) + 1
        (worker,) = (
            child
            for child in psutil.Process(process.pid).children()
            if "spawn_main" in " ".join(child.cmdline())
        )
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used - 1, before[1]))
        answer = client.post("/v1/segment", files=files)
        assert answer.status_code == 503 and answer.json()["error"]["code"] == "overloaded"
        worker.kill()  # another cannot be started now
        wait_for(lambda: client.get("/readyz").status_code == 503)
        assert client.get("/healthz").status_code == 200
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
        wait_for(lambda: client.get("/readyz").status_code == 200)
        assert until_ended(client, client.post("/v1/segment", files=files).json()["id"])["state"] == "done"


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_folders_removed_by_hand_cost_their_jobs_only(tiny, video, tmp_path):
    with serving(tmp_path, tiny) as own:
        done = own.accepted(video)
        own.ended(done)
        shutil.rmtree(tmp_path / "jobs")
        shutil.rmtree(tmp_path / "tmp")
        assert own.job(done)["results"] == {}
        assert own.client.get(f"/v1/jobs/{done}/frames").status_code == 404
        assert own.ended(own.accepted(video))["state"] == "done"
        assert own.client.delete(f"/v1/jobs/{done}").status_code == 204
        assert own.client.get("/readyz").json() == {"status": "ready", "problems": []}


def test_a_video_removed_before_its_job_starts_fails_that_job(stalled, video):
    running, id = stalled.begin(), stalled.accepted(video)
    shutil.rmtree(stalled.service.files.folder(id))
    stalled.client.post(f"/v1/jobs/{running}/cancel")
    job = stalled.ended(id)
    assert job["state"] == "failed" and job["error"]["code"] == "system"
    assert stalled.ended(stalled.accepted(video))["state"] == "done"


def test_work_in_the_background_goes_on_after_errors_and_shows_them(tmp_path, monkeypatch, capfd):
    with idle_service(tmp_path, keep=0.2) as own:
        fail = {"with": OSError(5, "Input/output error")}

        def sweep(*_, **__):
            if fail:
                raise fail["with"]

        monkeypatch.setattr(own.service.files, "sweep", sweep)
        problem = "removal of jobs: [Errno 5] Input/output error"
        wait_for(lambda: own.client.get("/readyz").json() == {"status": "ready", "problems": [problem]})
        time.sleep(0.2)
        fail.clear()
        wait_for(lambda: own.client.get("/readyz").json()["problems"] == [])
        assert capfd.readouterr().err.count(problem) == 1  # not at each attempt


@pytest.mark.exhaustive
def test_a_server_is_not_ready_while_its_database_is_away(postgres_server, tmp_path):
    with idle_service(tmp_path, database=postgres_server.url, lease=3) as own:
        id = own.accepted(b"no video")
        own.until(id, lambda job: job["state"] == "running")
        postgres_server.stop()
        try:
            wait_for(lambda: own.client.get("/readyz").status_code == 503)
            answer = own.client.get(f"/v1/jobs/{id}")
            assert answer.status_code == 503 and answer.json()["error"]["code"] == "store_unavailable"
            assert "save_avs_jobs_waiting NaN" in own.client.get("/metrics").text
            assert own.send(b"no video").status_code == 503
            wait_for(lambda: own.service._pool.running == 0 or own.service._pool._runs[id].stop.is_set())
        finally:
            postgres_server.start()
        wait_for(lambda: own.client.get("/readyz").status_code == 200)
        assert own.until(id, lambda job: job["state"] == "running")["attempts"] >= 1
        assert len(list((tmp_path / "jobs").iterdir())) == 1  # nothing is left of what was refused


def test_json_logs_tell_of_jobs_without_their_ids(tiny, video, tmp_path):
    with server(tmp_path, tiny, "--json-logs", "--device", "cpu") as (process, client):
        answer = client.post("/v1/segment", files={"file": ("clip.mp4", video.read_bytes())})
        id = until_ended(client, answer.json()["id"])["id"]
        wait_for(lambda: not client.get("/metrics").text.count("save_avs_job_seconds_count 0"))
        process.send_signal(signal.SIGTERM)
        *logged, last = process.communicate(timeout=60)[1].splitlines()
        assert last.startswith("save-avs: Terminated.")  # the command's own last word
        lines = [json.loads(line) for line in logged]
    events = {line["message"]: line for line in lines}
    assert {"job accepted", "job started", "job ended"} <= set(events)
    ended = events["job ended"]
    assert (ended["job"], ended["state"], ended["level"]) == (id[:8], "done", "INFO")
    assert {"queue", "decode", "model", "write"} == set(ended["seconds"]) and id not in json.dumps(lines)
