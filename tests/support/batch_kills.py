"""Kill workers and drivers of a batch run at random, and compare its rows with an undisturbed run's.

    python -m tests.support.batch_kills [--videos 300] [--workers 2] [--every 20] [--seed 0]

Some videos are broken. Every few seconds a worker process or the driver is killed; a killed driver is started
again with the same command until it finishes. Prints a table; exit code 1 where the rows differ.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from rich.progress import track

from save_avs._text import markdown_table
from save_avs.models.serialization import save_model
from tests.support.batch_runs import results, start_program
from tests.support.sample_videos import make_video
from tests.support.tiny_model import shake, tiny_model

BROKEN = 25  # one in so many videos
DRIVER_SHARE = 0.3  # of the kills
FINISHED = (0, 3)  # exit codes


def make_videos(folder: Path, count: int, *, broken: int = BROKEN, frames: int = 5) -> Path:
    """Videos of different sizes and lengths, one in ``broken`` of them a text file; none where it is 0."""
    folder.mkdir()
    for number in track(range(count), description="writing videos"):
        path = folder / f"clip-{number:04}.mp4"
        if broken and number % broken == broken - 1:
            path.write_text(f"no video {number}")
        else:
            make_video(
                path, frames=frames + number % 13, size=(64 + 4 * (number % 9), 64), sound=number % 7 > 0
            )
    return folder


def worker_processes(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    """The supervised processes below a driver, wherever in Ray they hang."""
    found = []
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(driver.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "spawn_main" in " ".join(process.cmdline()):
                    found.append(process)
    return found


def kill_something(driver: subprocess.Popen[str], rng: random.Random) -> str:
    """Kill the driver, or a worker if there is one; returns which."""
    if rng.random() < DRIVER_SHARE:
        driver.kill()
        return "driver"
    workers = worker_processes(driver)
    if workers:
        rng.choice(workers).kill()
    return "worker" if workers else "none"


def run_disturbed(command: list[object], rng: random.Random, every: float) -> Counter[str]:
    """Run a command, again after each kill of its driver, until it finishes; returns the kills."""
    kills: Counter[str] = Counter()
    code = None
    while code not in FINISHED:
        driver, code = start_program(*command), None
        while code is None:
            try:
                driver.communicate(timeout=rng.uniform(0.5, 1.5) * every)
                code = driver.returncode
            except subprocess.TimeoutExpired:
                kills[kill_something(driver, rng)] += 1
    return kills


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=float, default=20.0, help="mean seconds between kills")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        home = Path(name)
        videos, model = make_videos(home / "videos", options.videos), tiny_model()
        shake(model)
        save_model(model, home / "model")
        command: list[object] = [videos, "--model", home / "model", "--workers", options.workers, "--quiet"]
        start = time.monotonic()
        program = start_program(*command, "-o", home / "undisturbed")
        message = program.communicate()[1]
        assert program.returncode in FINISHED, message
        undisturbed = time.monotonic() - start
        start = time.monotonic()
        kills = run_disturbed([*command, "-o", home / "killed"], random.Random(options.seed), options.every)
        seconds = time.monotonic() - start
        (done, failed), expected = results(home / "killed"), results(home / "undisturbed")
    same = (done, failed) == expected and len(done) + len(failed) == options.videos
    head = ("videos", "worker kills", "driver kills", "done", "failed", "same rows", "seconds (undisturbed)")
    row = [options.videos, kills["worker"], kills["driver"], len(done), len(failed), "yes" if same else "NO"]
    print(markdown_table(head, [[*map(str, row), f"{seconds:.0f} ({undisturbed:.0f})"]]))
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
