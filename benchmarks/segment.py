"""Speed, memory and start-up of `save-avs segment` on a composed video, each run in a new process.

    python benchmarks/segment.py [--seconds 10 60] [--ten-minutes] [--rounds 3] [--against SRC]

Times include start-up, decoding, the model on every frame, the overlay with its audio, masks and timeline.
``--against`` is the `src` folder of another checkout, whose runs alternate with those of this one. CPU time
is printed next to wall-clock time because it depends less on other load.
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

SOURCE = Path(__file__).resolve().parent.parent / "src"
SCENE_SECONDS, LEAD_IN = 10, 0.08
MODULE = [sys.executable, "-m", "save_avs"]
TORCH = "import gc, os; gc.disable(); import torch; os._exit(0)"  # the floor of what follows
FIRST_MASKS = """
import os, sys
from save_avs.cli import _progress, main
_progress.VideoProgress.update = lambda self, progress: os._exit(0)
main(sys.argv[1:])
"""


@dataclass(frozen=True)
class Run:
    """Wall-clock and CPU seconds of a process, and its peak memory in MB."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def run(command: Sequence[str], source: Path) -> Run:
    """Run a command with the package in a `src` folder."""
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(source)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    stderr = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(stderr.decode())
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compose(folder: Path, size: str) -> Path:
    """Compose a scene of the bundled corpus, 25 fps: objects move on a photograph and take turns sounding."""
    options = {"-o": folder, "--count": 1, "--seconds": SCENE_SECONDS, "--size": size, "--seed": 5}
    arguments = [str(value) for option in options.items() for value in option]
    run([*MODULE, "data", "compose", "sample", *arguments], SOURCE)
    return next(folder.glob("*.mp4"))


def repeat(scene: Path, seconds: int, path: Path) -> Path:
    """Repeat a scene up to a duration without reencoding; ``LEAD_IN`` separates the copies' audio."""
    with av.open(str(scene)) as source, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for copy in range(seconds // SCENE_SECONDS):
            source.seek(0)
            for packet in source.demux():
                if packet.dts is None or packet.pts is None:
                    continue
                offset = round(copy * (SCENE_SECONDS + LEAD_IN) / packet.time_base)
                packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    return path


def time_segment(clip: Path, sources: Sequence[Path], rounds: int, folder: Path) -> list[list[str]]:
    """Time the command; return a row of the speed table for each source. Runs of the sources alternate."""
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
        seconds, cpu_seconds, peak_mb = (
            median(column) for column in zip(*map(astuple, runs[source]), strict=True)
        )
        cells = [
            f"{frames}",
            f"{frames / seconds:.1f}",
            f"{median(rates[source]):.1f}",
            f"{seconds:.2f}",
            f"{1e3 * cpu_seconds / frames:.1f}",
            f"{peak_mb:.0f}",
        ]
        rows.append([clip.stem, source.parent.name, *cells])
    return rows


def time_start_up(clip: Path, sources: Sequence[Path], rounds: int, folder: Path) -> list[list[str]]:
    """Time starts; return a row of the start-up table for each command and source."""
    five_frames = ["segment", str(clip), "--end", "0.2", "-o", str(folder), "--overwrite"]
    commands = {
        "save-avs --help": [*MODULE, "--help"],
        "import save_avs": [sys.executable, "-c", "import save_avs"],
        "import torch": [sys.executable, "-c", "import torch"],
        "import torch, no collection or exit": [sys.executable, "-c", TORCH],
        "save-avs segment, first masks": [sys.executable, "-c", FIRST_MASKS, *five_frames],
        "save-avs segment, 5 frames": [*MODULE, *five_frames],
    }
    seconds: dict[tuple[str, Path], list[float]] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            for source in sources:
                seconds.setdefault((name, source), []).append(run(command, source).seconds)
    return [
        [name, source.parent.name, f"{median(taken):.2f}", f"{min(taken):.2f}"]
        for (name, source), taken in seconds.items()
    ]


def make_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Make a table with right-aligned numbers."""
    table = Table(title=title)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < 2 else "right")
    for row in rows:
        table.add_row(*row)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--seconds", type=int, nargs="+", default=[10, 60], help="durations of the clips, multiples of 10"
    )
    parser.add_argument("--ten-minutes", action="store_true", help="add a clip of 600 s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--against", type=Path, metavar="SRC", help="src folder of another checkout")
    args = parser.parse_args()
    sources = [SOURCE] + ([args.against.resolve()] if args.against else [])
    with TemporaryDirectory() as name:
        folder = Path(name)
        scene = compose(folder / "scene", args.size)
        rows = []
        for seconds in [*args.seconds, *([600] if args.ten_minutes else [])]:
            clip = repeat(scene, seconds, folder / f"{seconds} s.mp4")
            rows += time_segment(clip, sources, args.rounds, folder / "out")
        starts = time_start_up(scene, sources, args.rounds, folder / "starts")
    columns = ["clip", "checkout", "frames", "frames/s", "after start-up", "s", "CPU ms/frame", "peak MB"]
    Console(width=110).print(
        make_table(f"save-avs segment, {args.size}, 25 fps", columns, rows),
        make_table("start-up", ["command", "checkout", "s", "fastest"], starts),
        f"medians of {args.rounds} rounds; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"torch {version('torch')}, save-small at its default precision",
    )


if __name__ == "__main__":
    main()
