"""What befalls a command while it works: signals, a full disk, a clock that jumps, and others."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.faults.operation import Trade

PROGRAM = Path(__file__).parent / "faulty_program.py"
PATIENCE = 180.0  # seconds for one life of a command
ROOM = "1g"  # of a disk that is not full
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_CLOCK = "libfaketime.so.1"

Meanwhile = Callable[[subprocess.Popen[str]], None]


@dataclass(frozen=True)
class Whole:
    """What an undisturbed command took.

    Attributes:
        seconds: from its start to its end.
        size: bytes of its output.
        memory: bytes of addresses at most.
    """

    seconds: float
    size: int
    memory: int


@dataclass
class Life:
    """One life of a command.

    Attributes:
        code: how it ended; negative for a signal, None where it had to be killed because it did not end.
        said: what it said on stderr.
    """

    code: int | None
    said: str


def _nothing(_: subprocess.Popen[str]) -> None:
    """What happens beside a command that is left in peace."""


@dataclass(frozen=True)
class Fault:
    """Something that befalls a command.

    Attributes:
        name: of the table.
        befall: lets a trade work at a place while it happens, and makes the place usable again.
        possible: why it cannot be tried on this machine; empty where it can.
    """

    name: str
    befall: Callable[[Trade, Path, Whole, random.Random], Life]
    possible: Callable[[], str] = field(default=lambda: "")


def live(trade: Trade, place: Path, meanwhile: Meanwhile = _nothing, **environment: str) -> Life:
    """Let a trade work until it ends; ``meanwhile`` happens beside it."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *trade.ask(place)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment, **trade.environment(place)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    beside = threading.Thread(target=meanwhile, args=(process,))
    beside.start()
    late = threading.Timer(PATIENCE, process.kill)
    late.start()
    said = trade.attend(process, place)
    said += process.communicate()[1]
    ended_itself = late.is_alive()
    late.cancel()
    beside.join()
    return Life(process.returncode if ended_itself else None, said)


def _signalled(number: signal.Signals) -> Fault:
    def befall(trade: Trade, place: Path, whole: Whole, draw: random.Random) -> Life:
        moment = draw.uniform(0.2, 1.0) * whole.seconds

        def strike(process: subprocess.Popen[str]) -> None:
            time.sleep(moment)
            if process.poll() is None:
                process.send_signal(number)

        return live(trade, place, strike)

    return Fault(number.name, befall)


def _full_disk(trade: Trade, place: Path, whole: Whole, draw: random.Random) -> Life:
    """Room for a part of the output."""
    room = max(16, round(draw.uniform(0.05, 0.9) * whole.size / 1024))
    with _disk(place / "out", f"{room}k"):
        return live(trade, place)


def _read_only(trade: Trade, place: Path, whole: Whole, draw: random.Random) -> Life:
    with _disk(place / "out", ROOM, "ro"):
        return live(trade, place)


@contextmanager
def _disk(place: Path, room: str, *more: str) -> Iterator[None]:
    """A disk of its own at a place; with room, and writable, when the block ends."""
    place.mkdir()
    options = ",".join([f"size={room}", *more])
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", f"remount,rw,size={ROOM}", str(place)], check=True)


def _no_mounting() -> str:
    return "" if sys.platform == "linux" and os.geteuid() == 0 else "needs root, to mount a disk"


def _out_of_memory(trade: Trade, place: Path, whole: Whole, draw: random.Random) -> Life:
    """A limit between where it starts at all and what it takes."""
    limit = round(draw.uniform(0.6, 0.98) * whole.memory)
    return live(trade, place, FAULTS_ADDRESSES=str(limit))


def _clock_jumps(trade: Trade, place: Path, whole: Whole, draw: random.Random) -> Life:
    """The clock of the day goes a day forward and two back."""
    file = place / "clock"
    file.write_text("+0")
    moments = sorted(draw.uniform(0.2, 1.0) * whole.seconds for _ in range(2))

    def jump(process: subprocess.Popen[str]) -> None:
        began = time.monotonic()
        for moment, offset in zip(moments, ("+86400", "-86400"), strict=True):
            time.sleep(max(0.0, began + moment - time.monotonic()))
            file.write_text(offset)

    clock = {
        "LD_PRELOAD": str(_faked_clock()),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    return live(trade, place, jump, **clock)


def _faked_clock() -> Path | None:
    return next(Path("/usr/lib").rglob(_CLOCK), None)


def _no_clock() -> str:
    return "" if _faked_clock() else "needs libfaketime"


def _twice(trade: Trade, place: Path, whole: Whole, draw: random.Random) -> Life:
    """Another of the same starts into the same folder while it works."""
    second: list[Life] = []

    def join(_: subprocess.Popen[str]) -> None:
        time.sleep(draw.uniform(0.0, 0.8) * whole.seconds)
        second.append(live(trade, place))

    first = live(trade, place, join)
    return max([first, *second], key=lambda life: "Traceback" in life.said)


FAULTS = (
    *map(_signalled, _SIGNALS),
    Fault("full disk", _full_disk, _no_mounting),
    Fault("read-only output", _read_only, _no_mounting),
    Fault("too little memory", _out_of_memory),
    Fault("clock jumps", _clock_jumps, _no_clock),
    Fault("two at once", _twice),
)
