"""Try hostile and broken inputs, and print a table: python tests/hostile/run.py [--quick] [WORD...].

Words choose the cases in whose names one of them stands. Exit code 1 where a case is lost. The cases run in
processes of their own, within limits of memory and time; one that ends its process, or never ends, is lost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.hostile.all_cases import CASES
from tests.support.hostile.attempt import SECONDS, Report

HERE = Path(__file__).parent

START = 30.0  # seconds more for the first case of a process, which imports everything
BATCH = 200  # cases of a process


def reports(names: Sequence[str]) -> Iterator[Report]:
    """What becomes of each case."""
    waiting = list(names)
    while waiting:
        some = waiting[:BATCH]
        for report in _batch(some):
            waiting.remove(report.name)
            yield report


def _batch(names: list[str]) -> Iterator[Report]:
    """The reports of a process; where it ends early, one of the case that ended it."""
    command = [sys.executable, str(HERE / "batch.py"), *names]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for name in names:
            patience = threading.Timer(SECONDS + START, process.kill)
            patience.start()
            line = process.stdout.readline()
            patience.cancel()
            if not line:
                process.kill()
                yield Report(name, process.wait(), "its process ended, or did not", "", 0.0, 0, 0)
                return
            yield Report(**json.loads(line))


@dataclass
class Row:
    """What became of the cases of a room."""

    tried: int = 0
    done: int = 0
    refused: int = 0
    lost: int = 0
    slowest: float = 0.0
    peak: int = 0

    def add(self, report: Report) -> None:
        """Count a case."""
        self.tried += 1
        self.lost += bool(report.wrong)
        self.done += not report.wrong and report.code == 0
        self.refused += not report.wrong and report.code != 0
        self.slowest = max(self.slowest, report.seconds)
        self.peak = max(self.peak, report.peak)

    def cells(self) -> str:
        """As a row of the table."""
        counts = f"{self.tried} | {self.done + self.refused} | {self.lost} | {self.done} | {self.refused}"
        return f"{counts} | {self.slowest:.1f} s | {self.peak >> 20} MB"


def table(found: Sequence[Report]) -> str:
    """Cases tried, survived and lost, in Markdown."""
    rows: dict[str, Row] = defaultdict(Row)
    for report in found:
        rows[CASES[report.name].room].add(report)
        rows["all"].add(report)
    rows["all"] = rows.pop("all")  # last
    head = "| input | tried | survived | lost | with a result | refused in a line | slowest | most memory |"
    return "\n".join([head, "|---" * 8 + "|", *(f"| {room} | {row.cells()} |" for room, row in rows.items())])


def chosen(words: Sequence[str], *, quick: bool) -> list[str]:
    """The names of cases that hold one of some words, or of all where there is none."""
    fits: Callable[[str], bool] = lambda name: not words or any(word in name for word in words)  # noqa: E731
    return [name for name, case in CASES.items() if fits(name) and (case.quick or not quick)]


def main(arguments: list[str]) -> int:
    """Run what the command line asks for."""
    words = [word for word in arguments if not word.startswith("-")]
    found = []
    for report in reports(chosen(words, quick="--quick" in arguments)):
        found.append(report)
        state = f"LOST ({report.wrong})" if report.wrong else "ok"
        print(f"{state} {report.code} {report.seconds:.2f} s {report.name}: {report.said}", file=sys.stderr)
    print(table(found))
    return int(any(report.wrong for report in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
