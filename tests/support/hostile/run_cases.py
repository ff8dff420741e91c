"""Try hostile inputs and print a table: python -m tests.support.hostile.run_cases [--quick] [WORD...].

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
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.support.hostile.all_cases import CASES
from tests.support.hostile.attempt import SECONDS, Report

START = 30.0  # seconds more for the first case of a process, which imports everything
BATCH = 200  # cases of a process


class CaseRunner:
    """A process that tries cases, started again after one that ended it or that never ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._tried = 0

    def run(self, name: str) -> Report:
        """Try one case; a process that ends, or must be killed, is reported as the case's fault."""
        if self._process is None or self._tried == BATCH:
            self._start()
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        self._tried += 1
        timeout = threading.Timer(SECONDS + START, process.kill)
        timeout.start()
        try:
            print(json.dumps(name), file=process.stdin, flush=True)
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        timeout.cancel()
        if not line:
            return Report(name, self._stop(), "its process ended, or did not", "", 0.0, 0, 0)
        return Report(**json.loads(line))

    def __enter__(self) -> CaseRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        self._stop()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.hostile.batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        self._tried = 0

    def _stop(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        with suppress(BrokenPipeError), process:
            process.kill()
        return process.returncode


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
    with CaseRunner() as runner:
        for name in chosen(words, quick="--quick" in arguments):
            report = runner.run(name)
            found.append(report)
            state = f"LOST ({report.wrong})" if report.wrong else "ok"
            print(f"{state} {report.code} {report.seconds:.2f} s {name}: {report.said}", file=sys.stderr)
    print(table(found))
    return int(any(report.wrong for report in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
