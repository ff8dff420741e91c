"""A model so small that a job takes a moment, a service that most tests share, and a server that stalls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from save_avs.models import save_model
from tests.support import file_server
from tests.support.file_server import FileServer
from tests.support.postgres import Postgres, binaries, postgres
from tests.support.service import Served, serving
from tests.support.tiny_model import shake, tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model = tiny_model()
    shake(model)
    save_model(model, folder)
    return folder


@pytest.fixture(scope="session")
def served(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("serve"), tiny, duration=20, side=200, size=2_000_000) as served:
        yield served


@dataclass
class Stalled(Served):
    """A service that may fetch from a host whose videos never end."""

    host: FileServer

    def begin(self) -> str:
        """Start a job that never ends; returns its id."""
        id = self.ask_for(self.host.url)
        self.until(id, lambda job: job["progress"]["phase"] == "fetching")
        return id

    def worker(self) -> int:
        """The worker's process id."""
        (worker,) = self.service._pool._workers
        assert worker.pid is not None
        return worker.pid


@pytest.fixture(scope="session")
def stalled(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stalled]:
    with file_server.serving(b"x" * 1000) as host:
        host.usual = file_server.drip
        hosts = (host.url.split("/")[2],)
        with serving(tmp_path_factory.mktemp("stalled"), tiny, hosts=hosts, queue=2) as served:
            yield Stalled(**vars(served), host=host)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    if binaries() is None:
        pytest.skip("Debian's package postgresql is not installed")
    with postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> str:
    """The URL of a PostgreSQL database."""
    return postgres_server.url
