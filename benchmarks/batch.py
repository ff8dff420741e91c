"""Videos per second of ``save-avs batch`` against ``segment``, one after another in one run.

    python -m benchmarks.batch [--videos 40] [--rounds 2]

``loop`` starts ``save-avs segment`` once per video, ``segment`` is one command with all videos. Only masks
are written, since the tables hold only masks. The times are those of whole commands, start-up included.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from save_avs._extras import models_folder
from save_avs._text import markdown_table


def timed(*commands: Sequence[object]) -> float:
    """Return the seconds that commands take, one after another."""
    start = time.monotonic()
    for words in commands:
        program = [sys.executable, "-m", "save_avs", *map(str, words)]
        subprocess.run(program, check=True, capture_output=True)
    return time.monotonic() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    sample = models_folder() / "sample.mp4"
    seconds: dict[str, list[float]] = {"loop": [], "segment": [], "batch": []}
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        videos = [home / f"{number}.mp4" for number in range(options.videos)]
        for video in videos:
            video.write_bytes(sample.read_bytes())
        for number in range(options.rounds):
            out = home / str(number)
            masks = ("--save", "masks")
            loop = [("segment", video, "-o", out / "loop", *masks) for video in videos]
            seconds["loop"].append(timed(*loop))
            seconds["segment"].append(timed(("segment", *videos, "-o", out / "segment", *masks)))
            seconds["batch"].append(timed(("batch", *videos, "-o", out / "batch")))
    batch = median(seconds["batch"])
    rows = [
        [
            name,
            f"{median(times):.0f}",
            f"{options.videos / median(times):.2f}",
            f"{median(times) / batch:.2f}",
        ]
        for name, times in seconds.items()
    ]
    load = os.getloadavg()[1]
    print(markdown_table(("", "seconds", "videos per second", "of batch's time"), rows))
    print(f"{options.videos} videos, {os.cpu_count()} CPUs, load {load:.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
