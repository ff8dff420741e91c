"""Soak test of the service: memory use and open files over an hour of work.

    python benchmarks/soak.py [--minutes 60] [--pause 2] [--servers 2] [--database postgresql://...]
                              [--plot docs/images/soak.png]

A client sends videos to servers that share their jobs, one after another and to each in turn, reads the
results from the next and deletes them; some videos are truncated, and some jobs are cancelled. Every ten
seconds the memory of each server and its workers is recorded, with shared pages counted once (PSS), and their
open files. The trend leaves out the first third of the time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

from save_avs._extras import models_folder

INTERVAL = 10.0  # seconds between memory samples
SAMPLE = models_folder() / "sample.mp4"
PROGRAM = [sys.executable, "-m", "save_avs"]
FINAL_STATES = ("done", "failed", "cancelled")
KINDS = ("complete", "complete", "truncated", "complete", "cancelled")  # of jobs, in a cycle


@dataclass
class MonitoredProcess:
    """A process, and the memory and open files of its process tree.

    Attributes:
        process: the main process.
        minutes, sizes, handles: times of the samples, memory in MB, and number of open files.
    """

    process: subprocess.Popen[str]
    minutes: list[float] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)

    def sample(self, minute: float) -> None:
        """Record the memory and the open files of the process and its descendants."""
        tree = [psutil.Process(self.process.pid)]
        tree += tree[0].children(recursive=True)
        total = handles = 0
        for member in tree:
            with suppress(psutil.NoSuchProcess):
                total += member.memory_full_info().pss
                handles += member.num_fds()
        self.minutes.append(minute)
        self.sizes.append(total / 1e6)
        self.handles.append(handles)

    def steady(self) -> tuple[np.ndarray, np.ndarray]:
        """Return minutes and MB of the last two thirds."""
        first = len(self.minutes) // 3
        return np.array(self.minutes[first:]), np.array(self.sizes[first:])

    def trend(self) -> float:
        """Return the slope of a line through the last two thirds, MB per hour."""
        minutes, sizes = self.steady()
        return float(np.polyfit(minutes / 60, sizes, 1)[0])


@contextmanager
def start_service(data: Path, database: str | None) -> Iterator[tuple[MonitoredProcess, httpx.Client]]:
    """Start a server and a client of it."""
    command = [*PROGRAM, "serve", "--port", "0", "--data", str(data)]
    command += ["--database", database] if database else []
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        address = process.stderr.readline().split()[-1]
        # A full pipe would block the server.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        # A connection of its own for each request, as those of many clients.
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=address, timeout=120, limits=limits) as client:
            yield MonitoredProcess(process), client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def run_job(to: httpx.Client, client: httpx.Client, kind: str) -> str:
    """Send a job to a server, read its results from another and delete it; return its final state."""
    content = SAMPLE.read_bytes()
    video = content[: len(content) // 2] if kind == "truncated" else content
    response = to.post("/v1/segment", files={"file": ("clip.mp4", video)}, data={"fps": "5"})
    job = response.raise_for_status().json()
    url = f"/v1/jobs/{job['id']}"
    if kind == "cancelled":
        client.post(f"{url}/cancel")
    while (job := client.get(url).raise_for_status().json())["state"] not in FINAL_STATES:
        time.sleep(0.2)
    if job["state"] == "done":
        for name in ("overlay.mp4", "masks.json"):
            client.get(f"{url}/result/{name}").raise_for_status()
        client.get(f"{url}/frames/3.png").raise_for_status()
    client.delete(url).raise_for_status()
    return job["state"]


def run_jobs(
    clients: Sequence[httpx.Client], pause: float, stop: threading.Event, states: Counter[str]
) -> None:
    """Run jobs one after another until ``stop`` is set."""
    for i, kind in enumerate(itertools.cycle(KINDS)):
        if stop.wait(pause):
            return
        to, other = clients[i % len(clients)], clients[(i + 1) % len(clients)]
        states[f"{kind}: {run_job(to, other, kind)}"] += 1


def monitor(programs: Sequence[MonitoredProcess], minutes: float) -> None:
    """Sample the memory of all programs for some minutes."""
    start = time.monotonic()
    for i in track(range(round(minutes * 60 / INTERVAL)), description="soaking"):
        time.sleep(max(0.0, start + i * INTERVAL - time.monotonic()))
        for program in programs:
            if program.process.poll() is not None:
                raise SystemExit(f"{' '.join(map(str, program.process.args))}: exited early")  # pyright: ignore
            program.sample((time.monotonic() - start) / 60)


def plot(programs: dict[str, MonitoredProcess], path: Path) -> None:
    """Plot memory and open files over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.4), layout="constrained")
    memory, handles = figure.subplots(2, sharex=True, height_ratios=(2, 1))
    for name, program in programs.items():
        memory.plot(program.minutes, program.sizes, label=name, linewidth=1)
        handles.plot(program.minutes, program.handles, linewidth=1)
    memory.set(ylabel="memory with workers, MB (PSS)", ylim=(0, None))
    handles.set(xlabel="minutes", ylabel="open files", ylim=(0, None))
    for axes in (memory, handles):
        axes.grid(alpha=0.3)
    memory.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def make_table(programs: dict[str, MonitoredProcess]) -> Table:
    """Tabulate the memory and the open files of each program."""
    columns = (
        "after a third, MB",
        "at the end, MB",
        "peak, MB",
        "trend, MB per hour",
        "open files",
        "at the end",
    )
    table = Table("program", *columns)
    for name, program in programs.items():
        _, sizes = program.steady()
        count = max(1, len(sizes) // 10)
        values = (sizes[:count].mean(), sizes[-count:].mean(), max(program.sizes), program.trend())
        first = len(program.handles) // 3
        handles = (np.median(program.handles[first : first + count]), np.median(program.handles[-count:]))
        table.add_row(name, *(f"{value:.0f}" for value in (*values, *handles)))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between jobs")
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--database", help="of the jobs (default: SQLite)")
    parser.add_argument("--plot", type=Path, help="save a plot of memory and open files over time (PNG)")
    args = parser.parse_args()
    states: Counter[str] = Counter()
    stop = threading.Event()
    with TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        with ExitStack() as stack:
            started = [
                stack.enter_context(start_service(folder / "jobs", args.database))
                for _ in range(args.servers)
            ]
            programs = {f"save-avs serve, {i + 1}": program for i, (program, _) in enumerate(started)}
            clients = [client for _, client in started]
            jobs = threading.Thread(target=run_jobs, args=(clients, args.pause, stop, states))
            jobs.start()
            try:
                monitor(list(programs.values()), args.minutes)
            finally:
                stop.set()
                jobs.join()
        left = sorted(path.name for path in (folder / "jobs/jobs").iterdir())
    console = Console(width=110)
    console.print(make_table(programs))
    console.print(f"jobs: {json.dumps(states)}; left in the data folder: {len(left)}")
    if args.plot:
        plot(programs, args.plot)


if __name__ == "__main__":
    main()
