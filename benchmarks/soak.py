"""The service kept at work for an hour: does its memory stay what it is?

    python benchmarks/soak.py [--minutes 60] [--rest 2] [--plot docs/images/soak.png]

A client sends videos to `save-avs serve` one after another, most of them whole, some torn, some cancelled,
reads the results and deletes them. Every ten seconds the memory of the server and its workers is recorded, shared
pages counted once (PSS). The first third of the time is left out of the trend.
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
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

EVERY = 10.0  # seconds between two looks at the memory
SAMPLE = Path(str(files("save_avs"))) / "bundled/sample.mp4"
PROGRAM = [sys.executable, "-m", "save_avs"]
ENDED = ("done", "failed", "cancelled")
KINDS = ("whole", "whole", "torn", "whole", "cancelled")  # of videos, in turn


@dataclass
class Watched:
    """A program and its workers.

    Attributes:
        process: the program.
        minutes, sizes: when its memory was looked at, and MB then.
    """

    process: subprocess.Popen[str]
    minutes: list[float] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)

    def look(self, minute: float) -> None:
        """Write down the memory of the program and of all that it started."""
        family = [psutil.Process(self.process.pid)]
        family += family[0].children(recursive=True)
        total = 0
        for member in family:
            with suppress(psutil.NoSuchProcess):
                total += member.memory_full_info().pss
        self.minutes.append(minute)
        self.sizes.append(total / 1e6)

    def settled(self) -> tuple[np.ndarray, np.ndarray]:
        """Minutes and MB of the last two thirds."""
        first = len(self.minutes) // 3
        return np.array(self.minutes[first:]), np.array(self.sizes[first:])

    def trend(self) -> float:
        """MB an hour of the straight line through what settled."""
        minutes, sizes = self.settled()
        return float(np.polyfit(minutes / 60, sizes, 1)[0])


@contextmanager
def served(data: Path) -> Iterator[tuple[Watched, httpx.Client]]:
    """The service, and a client of it."""
    command = [*PROGRAM, "serve", "--port", "0", "--data", str(data)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        address = process.stderr.readline().split()[-1]
        threading.Thread(target=process.stderr.read, daemon=True).start()  # lest the pipe fill
        with httpx.Client(base_url=address, timeout=120) as client:
            yield Watched(process), client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def ask(client: httpx.Client, kind: str) -> str:
    """One job from its video to its end; returns the state it ended in."""
    content = SAMPLE.read_bytes()
    video = content[: len(content) // 2] if kind == "torn" else content
    answer = client.post("/v1/segment", files={"file": ("clip.mp4", video)}, data={"fps": "5"})
    job = answer.raise_for_status().json()
    place = f"/v1/jobs/{job['id']}"
    if kind == "cancelled":
        client.post(f"{place}/cancel")
    while (job := client.get(place).raise_for_status().json())["state"] not in ENDED:
        time.sleep(0.2)
    if job["state"] == "done":
        for name in ("overlay.mp4", "masks.json"):
            client.get(f"{place}/result/{name}").raise_for_status()
        client.get(f"{place}/frames/3.png").raise_for_status()
    client.delete(place).raise_for_status()
    return job["state"]


def keep_asking(client: httpx.Client, rest: float, stop: threading.Event, seen: Counter[str]) -> None:
    """Jobs one after another, until told to stop."""
    for kind in itertools.cycle(KINDS):
        if stop.wait(rest):
            return
        seen[f"{kind}: {ask(client, kind)}"] += 1


def watch(programs: Sequence[Watched], minutes: float) -> None:
    """Look at the memory of all, for so long."""
    start = time.monotonic()
    for turn in track(range(round(minutes * 60 / EVERY)), description="soaking"):
        time.sleep(max(0.0, start + turn * EVERY - time.monotonic()))
        for program in programs:
            if program.process.poll() is not None:
                raise SystemExit(f"{' '.join(map(str, program.process.args))}: ended early")  # pyright: ignore
            program.look((time.monotonic() - start) / 60)


def draw(programs: dict[str, Watched], path: Path) -> None:
    """Memory over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, program in programs.items():
        axes.plot(program.minutes, program.sizes, label=name, linewidth=1)
    axes.set(xlabel="minutes", ylabel="MB (PSS), with workers", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def report(programs: dict[str, Watched]) -> Table:
    """The table."""
    table = Table("program", "after a third, MB", "at the end, MB", "most, MB", "trend, MB an hour")
    for name, program in programs.items():
        _, sizes = program.settled()
        few = max(1, len(sizes) // 10)
        ends = (sizes[:few].mean(), sizes[-few:].mean(), max(program.sizes), program.trend())
        table.add_row(name, *(f"{value:.0f}" for value in ends))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rest", type=float, default=2.0, help="seconds between two jobs of the service")
    parser.add_argument("--plot", type=Path, help="draw memory over time into this file")
    options = parser.parse_args()
    seen: Counter[str] = Counter()
    stop = threading.Event()
    with TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        with served(folder / "jobs") as (service, client):
            programs = {"save-avs serve": service}
            asking = threading.Thread(target=keep_asking, args=(client, options.rest, stop, seen))
            asking.start()
            try:
                watch(list(programs.values()), options.minutes)
            finally:
                stop.set()
                asking.join()
        left = sorted(path.name for path in (folder / "jobs/jobs").iterdir())
    console = Console(width=110)
    console.print(report(programs))
    console.print(f"jobs: {json.dumps(seen)}; left in the data folder: {len(left)}")
    if options.plot:
        draw(programs, options.plot)


if __name__ == "__main__":
    main()
