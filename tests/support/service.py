"""A service with its workers, listening on this machine for as long as a block lasts."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import uvicorn

from save_avs._process import Stopped
from save_avs.serving import service, worker_pool
from save_avs.serving.auth import AccessToken
from save_avs.serving.config import ServiceLimits, WorkerConfig
from save_avs.serving.job import Job, JobOptions
from save_avs.serving.job_files import JobFiles
from save_avs.serving.job_store import JobStore, _jobs
from save_avs.serving.server import make_app, server_config


def names(folder: Path) -> list[str]:
    """Everything in a folder."""
    return sorted(path.name for path in folder.iterdir())


@dataclass
class Served:
    """A service that listens: ``client`` asks it, ``url`` is where."""

    service: service.Service
    client: httpx.Client
    url: str

    def send(self, video: Path | bytes, *, name: str = "clip.mp4", **fields: Any) -> httpx.Response:
        content = video if isinstance(video, bytes) else video.read_bytes()
        return self.client.post("/v1/segment", files={"file": (name, content)}, data=fields)

    def accepted(self, video: Path | bytes, **fields: Any) -> str:
        answer = self.send(video, **fields)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def ask_for(self, url: str) -> str:
        """Send an address; returns the id of the job."""
        answer = self.client.post("/v1/segment", files={"url": (None, url)})
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def job(self, id: str) -> dict[str, Any]:
        return self.client.get(f"/v1/jobs/{id}").raise_for_status().json()

    def until(self, id: str, wanted: Callable[[dict[str, Any]], bool], wait: float = 180) -> dict[str, Any]:
        end = time.monotonic() + wait
        while not wanted(job := self.job(id)):
            assert time.monotonic() < end, job
            time.sleep(0.02)
        return job

    def ended(self, id: str, wait: float = 180) -> dict[str, Any]:
        return self.until(id, lambda job: job["state"] not in ("accepted", "running"), wait)


def journaled(root: Path, **about: Any) -> Job:
    """A job as a former server left it; its claim, if it runs, ran out."""
    files = JobFiles(root)
    store = JobStore(None, files.root, lease=1)
    job = Job(name="clip.mp4", options=JobOptions(model="tiny"), **about)
    with files.incoming() as folder:
        files.adopt(folder, job.id)
    store.add(job)
    store._rows(_jobs.update().values(run="former", lease=0.0).returning(_jobs.c.id))
    store.close()
    return job


class IdleWorker:
    """Stands in for a worker: ready at once, and never done with a job."""

    models = (
        {
            "name": "tiny",
            "image_size": 64,
            "device": "cpu",
            "precision": "fp32",
            "runtime": "torch",
            "about": "A model for tests.",
            "sounds": [],
        },
    )

    def __init__(self, *_: Any) -> None:
        self.alive = False

    def start(self, **_: Any) -> tuple[dict[str, Any], ...]:
        self.alive = True
        return self.models

    def run(self, *_: Any, stop: threading.Event, **__: Any) -> Stopped:
        stop.wait()
        return Stopped()

    def close(self) -> None:
        self.alive = False


@contextmanager
def idle_service(root: Path, **options: Any) -> Iterator[Served]:
    """A service in which no job is ever done."""
    with patch.object(worker_pool, "WorkerProcess", IdleWorker), serving(root, "tiny", **options) as served:
        yield served


@contextmanager
def serving(
    root: Path,
    *models: Path | str,
    token: str | None = None,
    page: bool = False,
    hosts: tuple[str, ...] = (),
    database: str | None = None,
    prompt_model: Path | str | None = None,
    **limits: Any,
) -> Iterator[Served]:
    config = WorkerConfig(
        models=tuple(map(str, models)),
        device="cpu",
        precision="fp32",
        limits=ServiceLimits(**limits),
        prompt_model=prompt_model and str(prompt_model),
        hosts=hosts,
    )
    own = service.Service(root, config, database=database)
    try:
        own.start()
        app = make_app(own, token=AccessToken(token) if token else None, page=page)
        with listening(app) as url, httpx.Client(base_url=url, timeout=180) as client:
            yield Served(own, client, url)
    finally:
        own.close()


@contextmanager
def listening(app: Any) -> Iterator[str]:
    taken = socket.create_server(("127.0.0.1", 0), backlog=256)
    config = server_config(app)
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
