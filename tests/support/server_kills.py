"""Kill servers and workers at random while many clients send videos, and account for every job.

    python -m tests.support.server_kills [--clients 50] [--jobs 4] [--every 5] [--sqlite] [--seed 0]

The servers share a data folder and a PostgreSQL database, or SQLite. A trigger in the database, which knows
nothing of the servers, records each change of a job's state. Every few seconds a worker or a server is killed
(SIGKILL), or a server is stopped for longer than its lease (SIGSTOP); a killed server is started again.
Prints a table; exit code 1 where a job was lost, ended twice, or has another video's result.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx
import psutil
from sqlalchemy import Engine, create_engine, text

from save_avs._text import markdown_table
from save_avs.models.serialization import save_model
from tests.support.postgres import postgres
from tests.support.sample_videos import make_video
from tests.support.tiny_model import shake, tiny_model

LEASE = 3.0  # seconds
AUDIT = {
    "postgresql": """
        CREATE TABLE audit (job text, state text, run text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO audit VALUES (NEW.id, NEW.state, NEW.run); RETURN NEW; END';
        CREATE TRIGGER note AFTER UPDATE ON save_avs_jobs FOR EACH ROW
            WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION note()
    """,
    "sqlite": """
        CREATE TABLE audit (job text, state text, run text);
        CREATE TRIGGER note AFTER UPDATE ON save_avs_jobs FOR EACH ROW WHEN OLD.state <> NEW.state
            BEGIN INSERT INTO audit VALUES (NEW.id, NEW.state, NEW.run)%3B END
    """,
}


class Servers:
    """Programs that serve one queue; each has a port of its own, which it keeps when it is started again."""

    def __init__(self, root: Path, model: Path, database: str | None, count: int) -> None:
        self._command = [sys.executable, "-m", "save_avs", "serve", "--no-page"]
        self._command += ["--data", str(root), "--model", str(model), "--device", "cpu", "--queue", "30"]
        self._command += ["--lease", str(LEASE), *(["--database", database] if database else [])]
        self._log = (root.parent / "log").open("a")
        self._readers: list[threading.Thread] = []
        self.ports: list[int] = []
        self.processes: list[subprocess.Popen[str]] = []
        for i in range(count):
            self.ports.append(0)
            self.processes.append(None)  # type: ignore[arg-type]
            self.start(i)

    def start(self, i: int) -> None:
        """Start a server, and wait until it listens."""
        command = [*self._command, "--port", str(self.ports[i])]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        line = process.stderr.readline()
        while "service at" not in line:
            assert line, "the server ended"
            line = process.stderr.readline()
        self.ports[i] = int(line.strip().rstrip("/").rpartition(":")[2])
        reader = threading.Thread(target=self._copy_log, args=(process.stderr,), daemon=True)
        reader.start()
        self._readers.append(reader)
        self.processes[i] = process

    def _copy_log(self, lines: IO[str]) -> None:
        with lines:
            self._log.writelines(lines)

    def workers(self) -> list[psutil.Process]:
        """The worker processes of all servers."""
        found = []
        for process in self.processes:
            with contextlib.suppress(psutil.Error):
                children = psutil.Process(process.pid).children()
                found += [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        return found

    def close(self) -> None:
        """End all servers."""
        for process in self.processes:
            process.kill()
            process.wait()
        for reader in self._readers:
            reader.join()
        self._log.close()


@dataclass
class Account:
    """What the clients saw: the state of each job by its id, and problems."""

    states: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Client:
    """Sends videos to any server that answers, and asks any for the result."""

    def __init__(self, servers: Servers, http: httpx.Client, seed: int, account: Account) -> None:
        self._servers, self._http = servers, http
        self._rng, self._account = random.Random(seed), account

    def ask(self, method: str, path: str, **options: object) -> httpx.Response:
        """Ask servers until one gives an answer that is final."""
        while True:
            url = f"http://127.0.0.1:{self._rng.choice(self._servers.ports)}{path}"
            with contextlib.suppress(httpx.TransportError):
                answer = self._http.request(method, url, **options)  # type: ignore[arg-type]
                if answer.status_code not in (429, 503):
                    return answer
            time.sleep(self._rng.uniform(0.1, 0.5))

    def run(self, name: str, video: bytes, frames: int) -> None:
        """One job, from its upload to its result."""
        answer = self.ask("POST", "/v1/segment", files={"file": (name, video)}, data={"save": "masks"})
        if answer.status_code != 202:
            self._account.problems.append(f"{name}: {answer.status_code} {answer.text}")
            return
        id = answer.json()["id"]
        self._account.states[id] = "lost"
        job = self.ask("GET", f"/v1/jobs/{id}").json()
        while job.get("state") in ("accepted", "running"):
            time.sleep(0.2)
            job = self.ask("GET", f"/v1/jobs/{id}").json()
        self._account.states[id] = job.get("state", "lost")
        if job.get("state") == "done":
            summary = self.ask("GET", job["results"]["summary.json"]).json()
            if (summary["source"], summary["frames"]) != (name, frames):
                self._account.problems.append(f"{name}: the result of {summary['source']}")
        else:
            self._account.problems.append(f"{name}: {job}")


def disturb(servers: Servers, every: float, seed: int, stop: threading.Event) -> Counter[str]:
    """Kill and stop processes until ``stop`` is set; returns how many."""
    rng, kills = random.Random(seed), Counter[str]()
    while not stop.wait(rng.uniform(0.5, 1.5) * every):
        kind, i = rng.choice(["worker", "worker", "server", "pause"]), rng.randrange(len(servers.processes))
        if kind == "worker" and (workers := servers.workers()):
            with contextlib.suppress(psutil.Error):
                rng.choice(workers).kill()
        elif kind == "pause":
            servers.processes[i].send_signal(signal.SIGSTOP)
            time.sleep(LEASE + 1)
            servers.processes[i].send_signal(signal.SIGCONT)
        elif kind == "server":
            servers.processes[i].kill()
            servers.processes[i].wait()
            servers.start(i)
        kills[kind] += 1
    return kills


def audit(engine: Engine) -> tuple[int, list[str]]:
    """How many runs were begun, and the jobs that did not end exactly once, by the database's own record."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT job, state FROM audit")).all()
    ends = Counter(row.job for row in rows if row.state in ("done", "failed", "cancelled"))
    wrong = [f"{job}: ended {ends[job]} times" for job in {row.job for row in rows} if ends[job] != 1]
    return sum(row.state == "running" for row in rows), wrong


def run(
    root: Path, database: str | None, *, clients: int, jobs: int, servers: int, every: float, seed: int = 0
) -> tuple[Account, Counter[str], int]:
    """Run all clients against disturbed servers; returns the account, the kills and the number of runs."""
    model = tiny_model()
    shake(model)
    save_model(model, root / "tiny")
    video = make_video(root / "clip.mp4", frames=12, size=(64, 48)).read_bytes()
    account, stop = Account(), threading.Event()
    kills: Counter[str] = Counter()
    fleet = Servers(root / "data", root / "tiny", database, servers)
    engine = create_engine(
        database.replace("postgresql:", "postgresql+psycopg:")
        if database
        else f"sqlite:///{root}/data/jobs.sqlite"
    )
    with engine.begin() as connection:
        for statement in AUDIT[engine.dialect.name].split(";\n"):
            connection.execute(text(statement.replace("%3B", ";")))

    def visit(number: int) -> None:
        with httpx.Client(timeout=30) as http:
            client = Client(fleet, http, seed + number, account)
            for i in range(jobs):
                client.run(f"clip-{number}-{i}.mp4", video, 12)

    try:
        threads = [threading.Thread(target=visit, args=(number,)) for number in range(clients)]
        killer = threading.Thread(target=lambda: kills.update(disturb(fleet, every, seed, stop)))
        for thread in (*threads, killer):
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        killer.join()
        runs, wrong = audit(engine)
        account.problems += wrong
    finally:
        stop.set()
        fleet.close()
        engine.dispose()
    return account, kills, runs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table; 1 when anything is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=4, help="of each client")
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between kills, on average")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sqlite", action="store_true")
    given = vars(parser.parse_args(arguments))
    place = contextlib.nullcontext(None) if given.pop("sqlite") else postgres()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, place as server:
        account, kills, runs = run(Path(folder), server and server.url, **given)
    states = Counter(account.states.values())
    numbers = [len(account.states), dict(states), runs, dict(kills), len(account.problems)]
    row = [*map(str, numbers), f"{time.monotonic() - started:.0f}"]
    print(markdown_table(["jobs", "states", "runs", "kills", "problems", "seconds"], [row]))
    print("\n".join(account.problems))
    return int(bool(account.problems))


if __name__ == "__main__":
    sys.exit(main())
