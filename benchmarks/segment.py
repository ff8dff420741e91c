"""`save-avs segment` on a composed video, each time as a process of its own: speed, memory, start-up.

    python benchmarks/segment.py [--seconds 10 60] [--ten-minutes] [--rounds 3] [--size 1280x720] [--against SRC]

Everything counts: start-up, decoding, the model on every frame, the overlay with its sound, masks and timeline.
``--against`` names the `src` folder of another checkout, which runs in turns with this one. Processor time is
printed beside the wall clock because it says the same on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import av
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent.parent / "src"
SCENE_SECONDS = 10
MODULE = [sys.executable, "-m", "save_avs"]
FIRST_MASK = """
import os, sys, save_avs
save_avs.segment(sys.argv[1], model="save-tiny", on_progress=lambda progress: os._exit(0))
"""


@dataclass(frozen=True)
class Run:
    """What a process took: seconds by the clock and of the processors, and its peak memory in MB."""

    seconds: float
    processor: float
    peak: float


def run(command: Sequence[str], source: Path) -> Run:
    """Run a command with the package of a `src` folder."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(source)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    said = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(said.decode())
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compose(folder: Path, size: str) -> Path:
    """A scene of the bundled corpus: photographs on a photograph that move and take turns sounding, 25 fps."""
    options = [
        "-o",
        str(folder),
        "--count",
        "1",
        "--seconds",
        str(SCENE_SECONDS),
        "--size",
        size,
        "--seed",
        "5",
    ]
    run([*MODULE, "data", "compose", "sample", *options], HERE)
    return next(folder.glob("*.mp4"))


def repeat(scene: Path, seconds: int, path: Path) -> Path:
    """Play a scene again and again, without coding it anew."""
    with av.open(str(scene)) as source, av.open(str(path), "w") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for turn in range(seconds // SCENE_SECONDS):
            source.seek(0)
            for packet in source.demux():
                if packet.dts is None or packet.pts is None:
                    continue
                offset = round(turn * SCENE_SECONDS / packet.time_base)
                packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    return path


def segment(clip: Path, sources: Sequence[Path], rounds: int, folder: Path) -> list[list[str]]:
    """Rows of the table of speeds, one a source; the sources take turns."""
    runs: dict[Path, list[Run]] = {source: [] for source in sources}
    rates: dict[Path, list[float]] = {source: [] for source in sources}
    for _ in range(rounds):
        for source in sources:
            command = [*MODULE, "segment", str(clip), "-o", str(folder), "--overwrite"]
            runs[source].append(run(command, source))
            summary = json.loads((folder / clip.stem / "summary.json").read_text(encoding="utf-8"))
            rates[source].append(summary["frames_per_second"])
    frames = summary["frames"]
    return [
        [
            clip.stem,
            str(source.parent.name),
            f"{frames}",
            f"{frames / median(r.seconds for r in runs[source]):.1f}",
            f"{median(rates[source]):.1f}",
            f"{median(r.seconds for r in runs[source]):.2f}",
            f"{1e3 * median(r.processor for r in runs[source]) / frames:.1f}",
            f"{median(r.peak for r in runs[source]):.0f}",
        ]
        for source in sources
    ]


def start_up(clip: Path, sources: Sequence[Path], rounds: int) -> list[list[str]]:
    """Rows of the table of start-ups, one a source; the sources take turns."""
    commands = {
        "save-avs --help": [*MODULE, "--help"],
        "import save_avs": [sys.executable, "-c", "import save_avs"],
        "import torch": [sys.executable, "-c", "import torch"],
        "to the first masks": [sys.executable, "-c", FIRST_MASK, str(clip)],
    }
    rows = []
    for name, command in commands.items():
        taken: dict[Path, list[float]] = {source: [] for source in sources}
        for _ in range(2 * rounds + 1):
            for source in sources:
                taken[source].append(run(command, source).seconds)
        rows += [[name, str(s.parent.name), f"{median(taken[s]):.2f}"] for s in sources]
    return rows


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table whose figures stand right."""
    made = Table(title=title)
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i < 2 else "right")
    for row in rows:
        made.add_row(*row)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, nargs="+", default=[10, 60], help="lengths, multiples of 10")
    parser.add_argument("--ten-minutes", action="store_true", help="a clip of 600 s too")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--against", type=Path, metavar="SRC", help="src folder of another checkout")
    given = parser.parse_args()
    sources = [HERE] + ([given.against.resolve()] if given.against else [])
    with TemporaryDirectory() as name:
        folder = Path(name)
        scene = compose(folder / "scene", given.size)
        rows = []
        for seconds in [*given.seconds, *([600] if given.ten_minutes else [])]:
            clip = repeat(scene, seconds, folder / f"{seconds} s.mp4")
            rows += segment(clip, sources, given.rounds, folder / "out")
        starts = start_up(scene, sources, given.rounds)
    columns = [
        "clip",
        "checkout",
        "frames",
        "frames/s",
        "without start-up",
        "s",
        "processor ms/frame",
        "peak MB",
    ]
    Console(width=110).print(
        table(f"save-avs segment, {given.size}, 25 fps", columns, rows),
        table("start-up", ["what", "checkout", "s"], starts),
        f"medians of {given.rounds}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"torch {version('torch')}, save-tiny at its own precision",
    )


if __name__ == "__main__":
    main()
