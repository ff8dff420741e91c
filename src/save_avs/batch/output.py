"""The output of a batch run: Parquet tables of results and failures, and the sink that adds rows to them.

A video is one row, with its masks inside.
"""

import json
import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from save_avs._extras import require
from save_avs._text import json_document, one_line
from save_avs.batch.segmenter import DONE
from save_avs.batch.storage import OutputFolder
from save_avs.errors import DataError, UsageError

require("cluster", "pyarrow")
require("cluster", "ray")

import pyarrow as pa  # noqa: E402, after the guard
from pyarrow import parquet  # noqa: E402, after the guard
from ray.data import Datasink  # noqa: E402, after the guard
from ray.data.block import BlockAccessor  # noqa: E402, after the guard

DONE_TABLE, FAILED_TABLE, FILES = "videos.parquet", "failed.parquet", "files"
_SETTINGS = "run.json"
_FRAME = {
    "index": pa.int64(),  # among the processed frames
    "source_index": pa.int64(),  # among all frames of the video
    "time": pa.float64(),  # seconds
    "score": pa.float32(),  # mean probability inside the mask, 0 where it is empty
    "counts": pa.string(),  # compressed COCO run lengths, column by column
}
_TEXT = dict.fromkeys(("path", "version", "status", "node"), pa.string())
_VIDEOS = pa.schema(
    _TEXT
    | dict.fromkeys(("model", "files"), pa.string())
    | dict.fromkeys(("width", "height"), pa.int32())
    | dict.fromkeys(("fps", "duration", "seconds"), pa.float64())
    | {"warnings": pa.list_(pa.string()), "frames": pa.list_(pa.struct(list(_FRAME.items())))}
)
_FAILURES = pa.schema(_TEXT | {"reason": pa.string()})
_SCHEMAS = {DONE_TABLE: _VIDEOS, FAILED_TABLE: _FAILURES}


class BatchOutput(OutputFolder):
    """The tables of a batch run, each a folder of Parquet files."""

    def rows(self, table: str, columns: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
        """Return the rows of a table by path; ``columns`` limits them."""
        wanted = None if columns is None else ["path", *columns]
        parts = (self._read_rows(f"{table}/{name}", wanted) for name in self.names(table))
        return {row["path"]: row for rows in parts for row in rows}

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Check that earlier results, if any, were made with the same settings.

        Raises:
            UsageError: they were not, or the folder holds something else; the message names the difference.
        """
        names, previous = [], None
        try:
            names = self.names("")
            previous = json.loads(self.read(_SETTINGS)) if _SETTINGS in names else None
        except ValueError:
            pass  # not ours
        except Exception as error:  # every file system raises its own errors
            raise UsageError(f"{self.url}: not usable as an output ({one_line(error)})") from error
        if not names:
            return
        if not isinstance(previous, dict):
            raise UsageError(f"{self.url}: is not empty and is not a batch output; choose another with -o.")
        if changed := [name for name, value in settings.items() if previous.get(name) != value]:
            name = changed[0]
            raise UsageError(
                f"{self.url}: made with {name} {previous.get(name)}, not {settings[name]}; use the same "
                "options or another folder."
            )

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Record what the results are made with."""
        self.write(_SETTINGS, json_document(dict(settings)).encode())

    def forget(self, paths: Collection[str]) -> None:
        """Delete the rows of some videos, which are about to be segmented again."""
        if not paths:
            return
        for table, schema in _SCHEMAS.items():
            for name in self.names(table):
                part = f"{table}/{name}"
                rows = self._read_rows(part)
                kept = [row for row in rows if row["path"] not in paths]
                if not kept:
                    self.remove(part)
                elif len(kept) < len(rows):
                    self.write(part, _to_parquet(kept, schema))

    def _read_rows(self, part: str, columns: list[str] | None = None) -> list[dict[str, Any]]:
        content = self.read(part)
        try:
            return parquet.read_table(pa.BufferReader(content), columns=columns).to_pylist()
        except (pa.ArrowException, OSError, KeyError) as error:
            raise DataError(f"{self.url}/{part}: not readable ({one_line(error)}); delete it") from error


class ResultSink(Datasink):
    """Writes rows from wherever they were computed: results and failures into tables of their own.

    A retried task overwrites its own files, so no row is written twice. A file gets ``videos_per_file`` rows
    if there are as many; a crash costs about that many videos.
    """

    def __init__(self, url: str, videos_per_file: int) -> None:
        self._url, self._run, self._videos_per_file = url, uuid.uuid4().hex[:12], videos_per_file

    @property
    def min_rows_per_write(self) -> int:
        """Rows that Ray collects for one call of ``write``."""
        return self._videos_per_file

    def write(self, blocks: Iterable[Any], ctx: Any) -> None:
        """Write the rows of one task."""
        rows = [row for block in blocks for row in BlockAccessor.for_block(block).to_arrow().to_pylist()]
        output = OutputFolder(self._url)
        for table, schema in _SCHEMAS.items():
            own = [row for row in rows if (row["status"] == DONE) == (table == DONE_TABLE)]
            if own:
                name = f"{table}/part-{self._run}-{ctx.task_idx:06}.parquet"
                output.write(name, _to_parquet(own, schema))

    def on_write_failed(self, error: Exception) -> None:
        """Leave the error to the driver."""


def _to_parquet(rows: list[dict[str, Any]], schema: pa.Schema) -> bytes:
    """Return rows as the content of a Parquet file; keys that the schema lacks are left out."""
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    return sink.getvalue().to_pybytes()
