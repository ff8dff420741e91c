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

from tests.support.faults.operation import Operation

PROGRAM = Path(__file__).parent / "faulty_program.py"
TIMEOUT = 180.0  # seconds for one run of a command
ROOM = "1g"  # of a disk that is not full
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_CLOCK = "libfaketime.so.1"

Meanwhile = Callable[[subprocess.Popen[str]], None]


@dataclass(frozen=True)
class Baseline:
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
class ProcessRun:
    """One run of a command.

    Attributes:
        code: how it ended; negative for a signal, None where it had to be killed because it did not end.
        stderr: its stderr.
    """

    code: int | None
    stderr: str


def _nothing(_: subprocess.Popen[str]) -> None:
    """What happens beside a command that is left in peace."""


@dataclass(frozen=True)
class Fault:
    """A fault to inject into a command.

    Attributes:
        name: of the table.
        inject: runs an operation under the fault, then makes the place usable again.
        possible: why it cannot be tried on this machine; empty where it can.
    """

    name: str
    inject: Callable[[Operation, Path, Baseline, random.Random], ProcessRun]
    possible: Callable[[], str] = field(default=lambda: "")


def run_operation(
    operation: Operation, place: Path, meanwhile: Meanwhile = _nothing, **environment: str
) -> ProcessRun:
    """Run an operation until it ends, with ``meanwhile`` beside it."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *operation.ask(place)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment, **operation.environment(place)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    beside = threading.Thread(target=meanwhile, args=(process,))
    beside.start()
    late = threading.Timer(TIMEOUT, process.kill)
    late.start()
    stderr = operation.attend(process, place)
    stderr += process.communicate()[1]
    ended_itself = late.is_alive()
    late.cancel()
    beside.join()
    return ProcessRun(process.returncode if ended_itself else None, stderr)


def _signalled(number: signal.Signals) -> Fault:
    def inject(operation: Operation, place: Path, baseline: Baseline, draw: random.Random) -> ProcessRun:
        moment = draw.uniform(0.2, 1.0) * baseline.seconds

        def strike(process: subprocess.Popen[str]) -> None:
            time.sleep(moment)
            if process.poll() is None:
                process.send_signal(number)

        return run_operation(operation, place, strike)

    return Fault(number.name, inject)


def _full_disk(operation: Operation, place: Path, baseline: Baseline, draw: random.Random) -> ProcessRun:
    """Room for a part of the output."""
    room = max(16, round(draw.uniform(0.05, 0.9) * baseline.size / 1024))
    with _disk(place / "out", f"{room}k"):
        return run_operation(operation, place)


def _read_only(operation: Operation, place: Path, baseline: Baseline, draw: random.Random) -> ProcessRun:
    with _disk(place / "out", ROOM, "ro"):
        return run_operation(operation, place)


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


def _out_of_memory(operation: Operation, place: Path, baseline: Baseline, draw: random.Random) -> ProcessRun:
    """A limit between where it starts at all and what it takes."""
    limit = round(draw.uniform(0.6, 0.98) * baseline.memory)
    return run_operation(operation, place, FAULTS_ADDRESSES=str(limit))


def _clock_jumps(operation: Operation, place: Path, baseline: Baseline, draw: random.Random) -> ProcessRun:
    """The clock of the day goes a day forward and two back."""
    file = place / "clock"
    file.write_text("+0")
    moments = sorted(draw.uniform(0.2, 1.0) * baseline.seconds for _ in range(2))

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
    return run_operation(operation, place, jump, **clock)


def _faked_clock() -> Path | None:
    return next(Path("/usr/lib").rglob(_CLOCK), None)


def _no_clock() -> str:
    return "" if _faked_clock() else "needs libfaketime"


def _twice(operation: Operation, place: Path, baseline: Baseline, draw: random.Random) -> ProcessRun:
    """Another of the same starts into the same folder while it works."""
    second: list[ProcessRun] = []

    def join(_: subprocess.Popen[str]) -> None:
        time.sleep(draw.uniform(0.0, 0.8) * baseline.seconds)
        second.append(run_operation(operation, place))

    first = run_operation(operation, place, join)
    return max([first, *second], key=lambda process_run: "Traceback" in process_run.stderr)


FAULTS = (
    *map(_signalled, _SIGNALS),
    Fault("full disk", _full_disk, _no_mounting),
    Fault("read-only output", _read_only, _no_mounting),
    Fault("too little memory", _out_of_memory),
    Fault("clock jumps", _clock_jumps, _no_clock),
    Fault("two at once", _twice),
)
