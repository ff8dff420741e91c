"""Kill workers and drivers of a corpus run at random, and compare its tables with an undisturbed run's.

    python tests/bulk/kills.py [--clips 500] [--engine local|ray] [--workers 2] [--every 6] [--seed 0]

Some clips are broken. Every few seconds a worker is killed, or the driver, which is then started again with
the same command, until it comes to its end. Prints a table; exit code 1 where the tables differ.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil
from rich.progress import track

from save_avs.models.serialization import save_model
from tests.support.batch_inputs import program, results
from tests.support.sample_videos import make_video
from tests.support.tiny_model import shake, tiny_config, tiny_model

BROKEN = 25  # one in so many clips
DRIVERS = 0.3  # share of kills that hit the driver
DELAY = 0.5  # seconds longer for each clip, so that there is time to kill
DONE = (0, 3)  # exit codes of a run that came to its end


def make_archive(folder: Path, clips: int) -> Path:
    """Clips of different sizes and lengths, and a few that are none."""
    folder.mkdir()
    for number in track(range(clips), description="writing clips"):
        path = folder / f"clip-{number:04}.mp4"
        if number % BROKEN == BROKEN - 1:
            path.write_text(f"no video {number}")
        else:
            make_video(path, frames=5 + number % 13, size=(64 + 4 * (number % 9), 64), sound=number % 7 > 0)
    return folder


def make_model(folder: Path) -> Path:
    """A model that computes in a moment."""
    model = tiny_model()
    shake(model)
    return save_model(model, tiny_config(), folder)


def workers_of(driver: int) -> list[psutil.Process]:
    """The processes below a driver that segment: those that were spawned, wherever they hang."""
    try:
        family = psutil.Process(driver).children(recursive=True)
        return [one for one in family if "spawn_main" in " ".join(one.cmdline())]
    except psutil.NoSuchProcess:
        return []


def strike(driver: subprocess.Popen[str], draw: random.Random) -> str:
    """Kill the driver, or a worker if there is one; returns which."""
    if draw.random() < DRIVERS:
        driver.kill()
        return "driver"
    workers = workers_of(driver.pid)
    if workers:
        draw.choice(workers).kill()
    return "worker" if workers else "nobody"


def live(driver: subprocess.Popen[str], draw: random.Random, every: float, killed: Counter[str]) -> int:
    """Let a driver run, and kill now and then, until it ends."""
    while True:
        try:
            return driver.wait(draw.uniform(0.5, 1.5) * every)
        except subprocess.TimeoutExpired:
            killed[strike(driver, draw)] += 1


def undisturbed(command: Sequence[object]) -> float:
    """Let a run come to its end; returns the seconds it took."""
    began = time.monotonic()
    driver = program(*command)
    said = driver.communicate()[1]
    assert driver.returncode in DONE, said
    return time.monotonic() - began


def disturbed(command: Sequence[object], draw: random.Random, every: float) -> tuple[Counter[str], float]:
    """Start a run again and again until it comes to its end; returns who was killed, and the seconds."""
    began, killed = time.monotonic(), Counter[str]()
    while live(program(*command, delay=DELAY), draw, every, killed) not in DONE:
        pass
    return killed, time.monotonic() - began


def main() -> int:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--every",
        type=float,
        default=6.0,
        help="seconds; a clip whose worker dies twice has failed",
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        home = Path(name)
        archive, model = make_archive(home / "archive", options.clips), make_model(home / "model")
        command = [archive, "--model", model, "--workers", options.workers, "--quiet"]
        quiet = undisturbed([*command, "--engine", "local", "-o", home / "quiet"])
        command += ["--engine", options.engine, "-o", home / "killed"]
        killed, seconds = disturbed(command, random.Random(options.seed), options.every)
        (done, failed), wanted = results(home / "killed"), results(home / "quiet")
    same = (done, failed) == wanted
    print("| engine | clips | kills of workers, drivers | done | failed | as undisturbed | seconds |")
    print("|---" * 7 + "|")
    kills, counts = f"{killed['worker']}, {killed['driver']}", f"{len(done)} | {len(failed)}"
    verdict, times = "yes" if same else "NO", f"{seconds:.0f} ({quiet:.0f} undisturbed)"
    print(f"| {options.engine} | {options.clips} | {kills} | {counts} | {verdict} | {times} |")
    return int(not same or len(done) + len(failed) != options.clips)


if __name__ == "__main__":
    sys.exit(main())
