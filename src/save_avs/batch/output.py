"""The output of a batch run: which videos have results, and the sink through which the nodes add more."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from save_avs._extras import require
from save_avs._text import one_line
from save_avs.batch.schema import DONE, FAILURES, VIDEOS, from_parquet, to_parquet
from save_avs.batch.storage import OutputFolder
from save_avs.errors import SaveAvsError, UsageError

require("cluster", "ray")

from ray.data import Datasink  # noqa: E402, after the guard
from ray.data.block import BlockAccessor  # noqa: E402, after the guard

DONE_TABLE, FAILED_TABLE, OVERLAYS = "videos.parquet", "failed.parquet", "overlays"
_SETTINGS = "run.json"
_SCHEMAS = {DONE_TABLE: VIDEOS, FAILED_TABLE: FAILURES}


class BatchOutput:
    """The tables of a batch run, each a folder of Parquet files.

    Args:
        url: a local path or a URL.
    """

    def __init__(self, url: str) -> None:
        self.folder = OutputFolder(url)

    def rows(self, table: str, columns: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
        """Return the rows of a table by path; ``columns`` limits them.

        Raises:
            DataError: a file of the table cannot be read.
        """
        wanted = None if columns is None else ["path", *columns]
        parts = (
            from_parquet(self.folder.read(f"{table}/{name}"), f"{self.folder.url}/{table}/{name}", wanted)
            for name in self.folder.names(table)
        )
        return {row["path"]: row for rows in parts for row in rows}

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Check that earlier results, if any, were made with the same settings.

        Raises:
            UsageError: they were not, or the folder holds something else; the message names the difference.
        """
        try:
            names = self.folder.names("")
        except Exception as error:  # every file system raises its own errors
            raise UsageError(f"{self.folder.url}: not usable as an output ({one_line(error)})") from error
        if _SETTINGS not in names:
            if names:
                raise UsageError(
                    f"{self.folder.url}: is not empty and is not a batch output; choose another with -o."
                )
            return
        previous = self._read_settings()
        for name, value in settings.items():
            if previous.get(name) != value:
                raise UsageError(
                    f"{self.folder.url}: made with {name} {previous.get(name)}, not {value}; use the same "
                    "options or another folder."
                )

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Record what the results are made with.

        Raises:
            SaveAvsError: the folder cannot be written to.
        """
        self.folder.write(_SETTINGS, (json.dumps(dict(settings), indent=2) + "\n").encode())

    def forget(self, paths: Collection[str]) -> None:
        """Delete the rows of some videos, which are about to be segmented again."""
        for table, schema in _SCHEMAS.items():
            for name in self.folder.names(table):
                part = f"{table}/{name}"
                rows = from_parquet(self.folder.read(part), f"{self.folder.url}/{part}")
                kept = [row for row in rows if row["path"] not in paths]
                if not kept:
                    self.folder.remove(part)
                elif len(kept) < len(rows):
                    self.folder.write(part, to_parquet(kept, schema))

    def _read_settings(self) -> dict[str, Any]:
        try:
            settings = json.loads(self.folder.read(_SETTINGS))
        except ValueError:
            settings = None
        if not isinstance(settings, dict):
            raise UsageError(f"{self.folder.url}/{_SETTINGS}: not from a batch run; choose another folder.")
        return settings


class ResultSink(Datasink):
    """Writes rows from wherever they were computed: results and failures into tables of their own.

    A retried task overwrites its own files, so no row is written twice.

    Args:
        url: of the output folder.
        videos_per_file: rows a file holds if there are as many; what is computed again after a crash.
    """

    def __init__(self, url: str, videos_per_file: int) -> None:
        self._url, self._run, self._videos_per_file = url, uuid.uuid4().hex[:12], videos_per_file

    @property
    def min_rows_per_write(self) -> int:
        """Rows that Ray collects for one call of ``write``."""
        return self._videos_per_file

    def write(self, blocks: Iterable[Any], ctx: Any) -> None:
        """Write the rows of one task.

        Raises:
            SaveAvsError: they cannot be written.
        """
        rows = [row for block in blocks for row in BlockAccessor.for_block(block).to_arrow().to_pylist()]
        output = OutputFolder(self._url)
        for table, schema in _SCHEMAS.items():
            own = [row for row in rows if (row["status"] == DONE) == (table == DONE_TABLE)]
            if own:
                columns = [{name: row.get(name) for name in schema.names} for row in own]
                output.write(
                    f"{table}/part-{self._run}-{ctx.task_idx:06}.parquet", to_parquet(columns, schema)
                )

    def on_write_failed(self, error: Exception) -> None:
        """Leave the error to the driver."""


def unwrap(error: BaseException) -> SaveAvsError:
    """Return the error of ours that a Ray error was caused by, else one that names the first cause."""
    while not isinstance(error, SaveAvsError):
        cause = getattr(error, "cause", None) or error.__cause__
        if cause is None:
            return SaveAvsError(f"Ray stopped the run ({type(error).__name__}: {one_line(error)[-300:]}).")
        error = cause
    return error
