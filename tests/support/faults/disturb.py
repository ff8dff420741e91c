"""Disturb running commands and print a table: python -m tests.support.faults.disturb [--tries N] [WORD...].

Each try lets a command work in a folder of its own, disturbs it, looks whether what is called done then is
whole, runs the same command again undisturbed, and compares what has come of it with what an undisturbed run
made. Words choose commands and faults ("segment", "full disk"). Exit code 1 where a try is lost.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import file_server
from tests.support.faults.fault_table import FAULTS, TIMEOUT, Baseline, Fault, ProcessRun, run_operation
from tests.support.faults.operation import Operation, Outcome
from tests.support.faults.operations import WEIGHTS, operations

PIECE, PAUSE = 1 << 17, 0.05  # bytes, and seconds after them, of the server of weights


@dataclass
class Row:
    """What became of the tries of one fault at one command.

    Attributes:
        tried: how many.
        lost: what was wrong with those that were.
        ends: how often the disturbed command ended with which code.
        silent: how many ended by themselves, in failure, and did not say why in a line.
    """

    tried: int = 0
    lost: list[str] = field(default_factory=list)
    ends: Counter[int | None] = field(default_factory=Counter)
    silent: int = 0


@dataclass(frozen=True)
class Try:
    """One try: how the disturbed command ended, and what was wrong, if anything."""

    process_run: ProcessRun
    wrong: str


def undisturbed(operation: Operation, place: Path) -> tuple[Baseline, Outcome]:
    """Run an operation without a fault."""
    operation.prepare(place)
    peak = 0

    def look(process: subprocess.Popen[str]) -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, _addresses(process.pid))
            time.sleep(0.1)

    began = time.monotonic()
    process_run = run_operation(operation, place, look)
    assert process_run.code in operation.codes, (
        f"{operation.name} ends with {process_run.code}: {process_run.stderr}"
    )
    size = sum(path.stat().st_size for path in (place / "out").rglob("*") if path.is_file())
    return Baseline(time.monotonic() - began, size, peak), operation.done(place)


def attempt(
    operation: Operation, fault: Fault, baseline: Baseline, wanted: Outcome, draw: random.Random
) -> Try:
    """Disturb an operation once, then run it again."""
    with _place() as place:
        operation.prepare(place)
        process_run = fault.inject(operation, place, baseline, draw)
        if process_run.code is None:
            return Try(process_run, f"did not end in {TIMEOUT:.0f} s")
        if wrong := _difference(operation, place, wanted, whole=False):
            return Try(process_run, f"then {wrong}")
        again = run_operation(operation, place)
        if again.code not in operation.codes:
            return Try(process_run, f"the next run ends with {again.code}: {again.stderr[-300:]}")
        return Try(process_run, _difference(operation, place, wanted, whole=True))


def _difference(operation: Operation, place: Path, wanted: Outcome, *, whole: bool) -> str:
    """What is called done and is not what an undisturbed run made; what is missing, when all must be done."""
    try:
        found = operation.done(place)
    except Exception as error:
        return f"cannot be read: {error!r}"
    other = [name for name, value in found.items() if wanted.get(name) != value]
    missing = sorted(wanted.keys() - found.keys()) if whole else []
    return "; ".join([f"{name} differs" for name in other] + [f"{name} is missing" for name in missing])


def reported(process_run: ProcessRun) -> bool:
    """A command that failed by itself says why, in one line of its own at the end."""
    by_itself = process_run.code is not None and process_run.code > 0
    return not by_itself or ("Traceback" not in process_run.stderr and bool(process_run.stderr.strip()))


def report(rows: dict[tuple[str, str], Row]) -> str:
    """The table, in Markdown."""
    lines = ["| command | fault | tried | finished after it | lost | ended with |", "|---" * 6 + "|"]
    for (operation, fault), row in rows.items():
        ends = ", ".join(f"{code} ({count})" for code, count in row.ends.most_common())
        silent = f"; {row.silent} without a line" if row.silent else ""
        finished = row.tried - len(row.lost)
        lines.append(
            f"| {operation} | {fault} | {row.tried} | {finished} | {len(row.lost)} | {ends}{silent} |"
        )
    tried, lost = sum(row.tried for row in rows.values()), sum(len(row.lost) for row in rows.values())
    return "\n".join([*lines, f"| all | | {tried} | {tried - lost} | {lost} | |"])


@contextmanager
def _place() -> Iterator[Path]:
    """An empty folder, the same for every try: some results name it."""
    place = Path(tempfile.gettempdir(), f"faults-{os.getpid()}")
    place.mkdir()
    try:
        yield place
    finally:
        while (place / "out").is_mount():
            subprocess.run(["umount", "--lazy", str(place / "out")], check=True)
        shutil.rmtree(place)


def _addresses(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(status.split("VmPeak:")[1].split()[0]) << 10 if "VmPeak:" in status else 0


def slowly(handler: file_server.Handler) -> None:
    """Send a file in pieces, so that a fetch can be disturbed at any moment."""
    body = handler.start()
    for begin in range(0, len(body), PIECE):
        handler.wfile.write(body[begin : begin + PIECE])
        time.sleep(PAUSE)


@contextmanager
def published() -> Iterator[dict[str, Operation]]:
    """All commands, with a server to fetch from."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        every = operations(lambda: files.url)
        every["fetch"].prepare(Path(name))
        with file_server.serving(Path(name, WEIGHTS).read_bytes()) as files:
            files.usual = slowly
            yield every


def run(words: Sequence[str], tries: int, seed: int) -> dict[tuple[str, str], Row]:
    """All tries that words choose."""
    draw, rows = random.Random(seed), {}
    with published() as every:
        for operation in _chosen(every, words):
            with _place() as place:
                baseline, wanted = undisturbed(operation, place)
            for fault in _chosen({fault.name: fault for fault in FAULTS}, words):
                if why := fault.possible():
                    print(f"{operation.name}, {fault.name}: not tried, {why}", file=sys.stderr)
                    continue
                row = rows.setdefault((operation.name, fault.name), Row())
                for _ in range(tries):
                    _count(row, attempt(operation, fault, baseline, wanted, draw), operation, fault)
    return rows


def _chosen(every: dict, words: Sequence[str]) -> list:
    return [one for name, one in every.items() if name in words] or list(every.values())


def _count(row: Row, one: Try, operation: Operation, fault: Fault) -> None:
    row.tried += 1
    row.ends[one.process_run.code] += 1
    row.silent += not reported(one.process_run)
    if one.wrong:
        row.lost.append(one.wrong)
    lines = one.process_run.stderr.strip().splitlines()
    stderr = f"{lines[-1] if lines else ''}" + (f" LOST: {one.wrong}" if one.wrong else "")
    print(
        f"{operation.name}, {fault.name}: ended with {one.process_run.code}; {stderr}",
        file=sys.stderr,
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--tries", type=int, default=5, help="of each fault at each command")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and limits that are drawn")
    options = parser.parse_args()
    rows = run(options.words, options.tries, options.seed)
    print(report(rows))
    return int(any(row.lost for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
