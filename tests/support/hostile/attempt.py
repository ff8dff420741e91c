"""One case tried in this process, as a user would: exit code, what is said, what is left."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.hostile.case import Case

SECONDS = 60.0  # at most, for a case
MEMORY = 1 << 30  # bytes at most that a case may take beyond what the program has taken already
_LEAVES = {"failed.jsonl"}  # what a run that failed may leave
_UNEXPECTED = (
    "add --verbose for the traceback"  # how the program ends a line about an error that it did not foresee
)


@dataclass(frozen=True)
class Report:
    """What became of a case.

    Attributes:
        name: of the case.
        code: the exit code.
        wrong: why it counts as lost; empty where it survived.
        said: the last line on stderr.
        seconds: that it took.
        peak: bytes of memory at most beyond those before it.
        held: bytes of memory that stay taken after it.
    """

    name: str
    code: int
    wrong: str
    said: str
    seconds: float
    peak: int
    held: int


def attempt(case: Case) -> Report:
    """Try a case."""
    from save_avs.cli import main

    with _folder() as folder:
        (folder / "made").mkdir()
        made, out = case.make(folder / "made"), folder / "out"
        arguments = case.ask(made, out)
        threads, files, before = threading.active_count(), _open_files(), _memory("VmRSS")
        _forget_peak()
        start = time.monotonic()
        with _captured(folder) as said:
            code = main(arguments)
        seconds, peak = time.monotonic() - start, _memory("VmHWM") - before
        gc.collect()
        lines = said()
        wrong = (
            _wrong_words(case, code, lines)
            or _wrong_leavings(code, folder, out)
            or _wrong_use(seconds, peak, threading.active_count() - threads, _open_files() - files)
        )
        last = lines[-1] if lines else ""
        return Report(case.name, code, wrong, last, seconds, peak, _memory("VmRSS") - before)


def _wrong_words(case: Case, code: int, lines: list[str]) -> str:
    if any(line.startswith("Traceback") for line in lines):
        return "a traceback"
    if code not in case.codes:
        return f"exit code {code} where {' or '.join(map(str, case.codes))} is right"
    if code == 0:
        return ""
    unforeseen = next((line for line in lines if _UNEXPECTED in line or "out of memory" in line), None)
    if unforeseen is not None:
        return "an error that is not told in words" if _UNEXPECTED in unforeseen else "out of memory"
    return ""


def _wrong_leavings(code: int, folder: Path, out: Path) -> str:
    outside = {path.name for path in folder.iterdir()} - {"made", "out", "stdout", "stderr"}
    if outside:
        return f"written outside of the output folder: {', '.join(sorted(outside))}"
    left = [path for path in out.rglob("*") if path.is_file()] if out.is_dir() else [out] * out.exists()
    half = [path.name for path in left if path.name.startswith(".") or ".part" in path.name]
    if half:
        return f"half-written: {', '.join(half)}"
    if code not in (0, 3) and any(path.name not in _LEAVES for path in left):
        return f"failed, and left {', '.join(path.name for path in left)}"
    return ""


def _wrong_use(seconds: float, peak: int, threads: int, files: int) -> str:
    if seconds > SECONDS:
        return f"{seconds:.0f} s"
    if peak > MEMORY:
        return f"{peak >> 20} MB of memory"
    if threads > 0:
        return f"{threads} threads stay"
    return f"{files} files stay open" if files > 0 else ""


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _captured(folder: Path):
    """Take what is printed, by libraries in C too; hands out what gives the lines on stderr."""
    paths = [folder / "stdout", folder / "stderr"]
    kept = [os.dup(1), os.dup(2)]
    sys.stdout.flush()
    sys.stderr.flush()
    for number, path in enumerate(paths, start=1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    try:
        yield lambda: paths[1].read_text("utf-8", "replace").splitlines()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in enumerate(kept, start=1):
            os.dup2(copy, number)
            os.close(copy)


def _open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def _memory(what: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) << 10


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")
