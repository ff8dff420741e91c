"""The folder of a bulk run: what is done in it, who may write to it, and how results are added."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from save_avs._files import atomic_write
from save_avs.batch.messages import Done, Failed, Outcome
from save_avs.batch.parquet import clips_table, failed_table, read, write
from save_avs.errors import UsageError

CLIPS, FAILED, OVERLAYS = "clips", "failed.parquet", "overlays"
_REQUEST, _SCRATCH, _LOCK = "run.json", ".scratch", ".lock"

# A part is written when one of these is reached; what is not written yet is done again after a crash.
_MOST_CLIPS = 1000
_MOST_BYTES = 64_000_000
_MOST_SECONDS = 60.0


class BulkFolder:
    """Results of a bulk run: parts of the clips' table, and the table of those that could not be done."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.overlays, self.scratch = path / OVERLAYS, path / _SCRATCH

    def done(self) -> dict[str, str]:
        """Names of the clips that have a result, with the identity each had."""
        tables = (read(part, ["path", "identity"]) for part in self._parts())
        return {name: identity for table in tables for name, identity in _pairs(table)}

    def failed(self) -> dict[str, Failed]:
        """The clips that could not be done, by their names."""
        file = self.path / FAILED
        rows = read(file).to_pylist() if file.is_file() else []
        return {
            row["path"]: Failed(row["path"], row["identity"], row["status"], row["reason"]) for row in rows
        }

    def check(self, request: Mapping[str, Any]) -> None:
        """See that the folder is of this very request, or new.

        Raises:
            UsageError: it holds something else; the line says what differs.
        """
        for parent in (self.path, *self.path.parents):
            if parent.exists() and not parent.is_dir():
                raise UsageError(f"{parent}: a file, so results cannot go into it; choose another with -o")
        file = self.path / _REQUEST
        if not file.is_file():
            if self.path.is_dir() and any(item.name[0] != "." for item in self.path.iterdir()):
                raise UsageError(f"{self.path}: holds other things than a bulk run; choose another with -o")
            return
        former = _read_request(file)
        if differing := [name for name in request if former.get(name) != request[name]]:
            name = differing[0]
            raise UsageError(
                f"{self.path}: made with {name} {former.get(name)}, not {request[name]}; "
                "give the same options, or choose another folder with -o"
            )

    @contextmanager
    def opened(self, request: Mapping[str, Any]) -> Iterator[Results]:
        """Hand out what results are added to, by one run at a time; they are written whatever ends the block.

        Raises:
            UsageError: another run is writing here, or ``check``.
        """
        self.check(request)
        self.path.mkdir(parents=True, exist_ok=True)
        with self._alone():
            atomic_write(self.path / _REQUEST, json.dumps(request, indent=2) + "\n")
            self._tidy()
            self.scratch.mkdir()
            results = Results(self)
            try:
                yield results
            finally:
                shutil.rmtree(self.scratch, ignore_errors=True)
                results.flush()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = FileLock(self.path / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(f"{self.path}: another run is writing here; wait for it, or choose -o") from None
        try:
            yield
        finally:
            lock.release()

    def next_part(self) -> Path:
        """A name for the next part."""
        numbers = [int(part.stem.removeprefix("part-")) for part in self._parts()]
        return self.path / CLIPS / f"part-{max(numbers, default=0) + 1:06}.parquet"

    def _parts(self) -> list[Path]:
        return sorted((self.path / CLIPS).glob("part-*.parquet"))

    def _tidy(self) -> None:
        """Remove what a killed run left half-written."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for folder in (self.path, self.path / CLIPS):
            for leftover in folder.glob(".*.part.*"):
                leftover.unlink()

    def forget(self, names: Collection[str]) -> None:
        """Remove the results of some clips, which are about to be done again."""
        for part in self._parts():
            kept = [name not in names for name in read(part, ["path"])["path"].to_pylist()]
            if not any(kept):
                part.unlink()
            elif not all(kept):
                write(part, read(part).filter(kept))
        failed = self.failed()
        if any(name in failed for name in names):
            rest = [clip for clip in failed.values() if clip.name not in names]
            write(self.path / FAILED, failed_table(rest))


class Results:
    """Collects outcomes and writes them, a part at a time."""

    def __init__(self, folder: BulkFolder) -> None:
        self._folder = folder
        self._clear()

    def add(self, outcome: Outcome) -> None:
        """Take an outcome; it is on the disk once ``flush`` has run, which happens by itself too."""
        if isinstance(outcome, Failed):
            self._failed.append(outcome)
        else:
            self._done.append(outcome)
            self._bytes += sum(map(len, outcome.video_masks.counts))
        waited = time.monotonic() - self._since
        if len(self._done) >= _MOST_CLIPS or self._bytes >= _MOST_BYTES or waited >= _MOST_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was added."""
        if self._done:
            write(self._folder.next_part(), clips_table(self._done))
        if self._failed:
            all_failed = [*self._folder.failed().values(), *self._failed]
            write(self._folder.path / FAILED, failed_table(all_failed))
        self._clear()

    def _clear(self) -> None:
        self._done: list[Done] = []
        self._failed: list[Failed] = []
        self._bytes = 0
        self._since = time.monotonic()


def _pairs(table: Any) -> Iterator[tuple[str, str]]:
    return zip(table["path"].to_pylist(), table["identity"].to_pylist(), strict=True)


def _read_request(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageError(f"{file}: not of a bulk run; choose another folder with -o")
    return found
