"""Disturb running commands and print a table: python -m tests.support.faults.disturb [--tries N] [WORD...].

Each try lets a command work in a folder of its own, disturbs it, looks whether what is called done then is
whole, lets the same command go on undisturbed, and compares what has come of it with what an undisturbed run
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
from tests.support.faults.fault_table import FAULTS, PATIENCE, Fault, Life, Whole, live
from tests.support.faults.operation import Outcome, Trade
from tests.support.faults.operations import WEIGHTS, trades

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

    life: Life
    wrong: str


def undisturbed(trade: Trade, place: Path) -> tuple[Whole, Outcome]:
    """Let a trade work in peace."""
    trade.prepare(place)
    peak = 0

    def look(process: subprocess.Popen[str]) -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, _addresses(process.pid))
            time.sleep(0.1)

    began = time.monotonic()
    life = live(trade, place, look)
    assert life.code in trade.codes, f"{trade.name} ends with {life.code}: {life.said}"
    size = sum(path.stat().st_size for path in (place / "out").rglob("*") if path.is_file())
    return Whole(time.monotonic() - began, size, peak), trade.done(place)


def attempt(trade: Trade, fault: Fault, whole: Whole, wanted: Outcome, draw: random.Random) -> Try:
    """Disturb a trade once, and let it go on."""
    with _place() as place:
        trade.prepare(place)
        life = fault.befall(trade, place, whole, draw)
        if life.code is None:
            return Try(life, f"did not end in {PATIENCE:.0f} s")
        if wrong := _difference(trade, place, wanted, whole=False):
            return Try(life, f"then {wrong}")
        again = live(trade, place)
        if again.code not in trade.codes:
            return Try(life, f"going on ends with {again.code}: {again.said[-300:]}")
        return Try(life, _difference(trade, place, wanted, whole=True))


def _difference(trade: Trade, place: Path, wanted: Outcome, *, whole: bool) -> str:
    """What is called done and is not what an undisturbed run made; what is missing, when all must be done."""
    try:
        found = trade.done(place)
    except Exception as error:
        return f"cannot be read: {error!r}"
    other = [name for name, value in found.items() if wanted.get(name) != value]
    missing = sorted(wanted.keys() - found.keys()) if whole else []
    return "; ".join([f"{name} differs" for name in other] + [f"{name} is missing" for name in missing])


def told(life: Life) -> bool:
    """A command that failed by itself says why, in one line of its own at the end."""
    by_itself = life.code is not None and life.code > 0
    return not by_itself or ("Traceback" not in life.said and bool(life.said.strip()))


def report(rows: dict[tuple[str, str], Row]) -> str:
    """The table, in Markdown."""
    lines = ["| command | fault | tried | finished after it | lost | ended with |", "|---" * 6 + "|"]
    for (trade, fault), row in rows.items():
        ends = ", ".join(f"{code} ({count})" for code, count in row.ends.most_common())
        silent = f"; {row.silent} without a line" if row.silent else ""
        finished = row.tried - len(row.lost)
        lines.append(f"| {trade} | {fault} | {row.tried} | {finished} | {len(row.lost)} | {ends}{silent} |")
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
def published() -> Iterator[dict[str, Trade]]:
    """All commands, with a server to fetch from."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        every = trades(lambda: files.url)
        every["fetch"].prepare(Path(name))
        with file_server.serving(Path(name, WEIGHTS).read_bytes()) as files:
            files.usual = slowly
            yield every


def run(words: Sequence[str], tries: int, seed: int) -> dict[tuple[str, str], Row]:
    """All tries that words choose."""
    draw, rows = random.Random(seed), {}
    with published() as every:
        for trade in _chosen(every, words):
            with _place() as place:
                whole, wanted = undisturbed(trade, place)
            for fault in _chosen({fault.name: fault for fault in FAULTS}, words):
                if why := fault.possible():
                    print(f"{trade.name}, {fault.name}: not tried, {why}", file=sys.stderr)
                    continue
                row = rows.setdefault((trade.name, fault.name), Row())
                for _ in range(tries):
                    _count(row, attempt(trade, fault, whole, wanted, draw), trade, fault)
    return rows


def _chosen(every: dict, words: Sequence[str]) -> list:
    return [one for name, one in every.items() if name in words] or list(every.values())


def _count(row: Row, one: Try, trade: Trade, fault: Fault) -> None:
    row.tried += 1
    row.ends[one.life.code] += 1
    row.silent += not told(one.life)
    if one.wrong:
        row.lost.append(one.wrong)
    lines = one.life.said.strip().splitlines()
    said = f"{lines[-1] if lines else ''}" + (f" LOST: {one.wrong}" if one.wrong else "")
    print(f"{trade.name}, {fault.name}: ended with {one.life.code}; {said}", file=sys.stderr, flush=True)


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
