"""`save-avs segment` on a composed video, each time as a process of its own: speed, memory, start-up.

    python benchmarks/segment.py [--seconds 10 60] [--ten-minutes] [--rounds 3] [--against SRC]

Everything counts: start-up, decoding, the model on every frame, the overlay with its sound, masks, timeline.
``--against`` names the `src` folder of another checkout, which runs in turns with this one. Processor time is
printed beside the wall clock because it depends less on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import av
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent.parent / "src"
SCENE_SECONDS, LEAD_IN = 10, 0.08
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
    environment = os.environ | {"PYTHONPATH": str(source)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(said.decode())
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compose(folder: Path, size: str) -> Path:
    """A scene of the bundled corpus: things that move on a photograph and take turns sounding, 25 fps."""
    options = {"-o": folder, "--count": 1, "--seconds": SCENE_SECONDS, "--size": size, "--seed": 5}
    words = [str(word) for option in options.items() for word in option]
    run([*MODULE, "data", "compose", "sample", *words], HERE)
    return next(folder.glob("*.mp4"))


def repeat(scene: Path, seconds: int, path: Path) -> Path:
    """Play a scene again and again, without coding it anew; the sound's lead-in has room in between."""
    with av.open(str(scene)) as source, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for turn in range(seconds // SCENE_SECONDS):
            source.seek(0)
            for packet in source.demux():
                if packet.dts is None or packet.pts is None:
                    continue
                offset = round(turn * (SCENE_SECONDS + LEAD_IN) / packet.time_base)
                packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    return path


def segment(clip: Path, sources: Sequence[Path], rounds: int, folder: Path) -> list[list[str]]:
    """Rows of the table of speeds, one a source; the sources take turns."""
    command = [*MODULE, "segment", str(clip), "-o", str(folder), "--overwrite"]
    runs: dict[Path, list[Run]] = {source: [] for source in sources}
    rates: dict[Path, list[float]] = {source: [] for source in sources}
    frames = 0
    for source in list(sources) * rounds:
        runs[source].append(run(command, source))
        summary = json.loads((folder / clip.stem / "summary.json").read_text(encoding="utf-8"))
        frames = summary["frames"]
        rates[source].append(summary["frames_per_second"])
    rows = []
    for source in sources:
        seconds, processor, peak = (
            median(column) for column in zip(*map(astuple, runs[source]), strict=True)
        )
        figures = [
            f"{frames}",
            f"{frames / seconds:.1f}",
            f"{median(rates[source]):.1f}",
            f"{seconds:.2f}",
            f"{1e3 * processor / frames:.1f}",
            f"{peak:.0f}",
        ]
        rows.append([clip.stem, source.parent.name, *figures])
    return rows


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
        for source in list(sources) * rounds:
            taken[source].append(run(command, source).seconds)
        rows += [[name, source.parent.name, f"{median(taken[source]):.2f}"] for source in sources]
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
    columns = ["clip", "checkout", "frames", "frames/s", "after start-up", "s", "CPU ms/frame", "peak MB"]
    Console(width=110).print(
        table(f"save-avs segment, {given.size}, 25 fps", columns, rows),
        table("start-up", ["what", "checkout", "s"], starts),
        f"medians of {given.rounds}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"torch {version('torch')}, save-tiny at its own precision",
    )


if __name__ == "__main__":
    main()
