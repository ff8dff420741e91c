"""The output of a batch run on any file system: Parquet tables of results and failures, and saved files.

A video is one row, with its masks inside.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from save_avs._extras import require
from save_avs._files import atomic_write
from save_avs._remote import filesystem, is_remote
from save_avs._text import json_document, one_line
from save_avs.errors import DataError, SaveAvsError, UsageError

require("cluster", "fsspec", "pyarrow", "ray")

import pyarrow as pa  # noqa: E402, after the guard
from fsspec.implementations.dirfs import DirFileSystem  # noqa: E402, after the guard
from pyarrow import parquet  # noqa: E402, after the guard

DONE = "done"  # status of a video with results
DONE_TABLE, FAILED_TABLE, FILES = "videos.parquet", "failed.parquet", "files"
_SETTINGS = "run.json"
FRAME = {
    "index": pa.int64(),  # among the processed frames
    "source_index": pa.int64(),  # among all frames of the video
    "time": pa.float64(),  # seconds
    "score": pa.float32(),  # mean probability inside the mask, 0 where it is empty
    "counts": pa.string(),  # compressed COCO run lengths, column by column
}
_TEXT = dict.fromkeys(("path", "version", "status", "node"), pa.string())
_RESULT = (
    _TEXT
    | dict.fromkeys(("model", "files"), pa.string())
    | dict.fromkeys(("width", "height"), pa.int32())
    | dict.fromkeys(("fps", "duration", "seconds"), pa.float64())
    | {"warnings": pa.list_(pa.string()), "frames": pa.list_(pa.struct(list(FRAME.items())))}
)
_SCHEMAS = {DONE_TABLE: pa.schema(_RESULT), FAILED_TABLE: pa.schema(_TEXT | {"reason": pa.string()})}


class OutputError(SaveAvsError):
    """The output cannot be written: it is full, or out of reach."""


class BatchOutput:
    """A folder on a disk or an object store; every file in it appears complete or not at all."""

    def __init__(self, url: str) -> None:
        self.url = url if is_remote(url) else str(Path(url).absolute())
        files, root = filesystem(self.url)
        self.files: Any = DirFileSystem(root, files)  # with this folder as its root

    def names(self, folder: str = "") -> list[str]:
        """Names of the files in a subfolder, sorted; hidden ones (incomplete) left out."""
        self.files.invalidate_cache(folder)
        entries = self.files.ls(folder, detail=False) if self.files.exists(folder) else []
        return sorted(name for entry in entries if not (name := PurePosixPath(entry).name).startswith("."))

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically: renamed when complete on a local disk, a single PUT on an object store.

        fsspec's own transactions move local files here from the folder for temporary ones: neither atomic
        nor synced.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            if is_remote(self.url):
                self.files.pipe_file(name, content)
            else:
                atomic_write(Path(self.url) / name, content, sync=True)
        except Exception as error:  # every file system raises its own errors
            raise OutputError(f"{self.url}/{name}: cannot be written ({one_line(error)})") from error

    def upload(self, folder: Path, name: str) -> None:
        """Copy the files of a local folder, and of the folders in it, into a subfolder."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.write(f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Check that earlier results, if any, were made with the same settings.

        Raises:
            UsageError: they were not, or the folder holds something else; the message names the difference.
        """
        try:
            previous: Any = json.loads(self.files.cat_file(_SETTINGS)) if self.names() else settings
        except (FileNotFoundError, ValueError):
            previous = None
        except Exception as error:  # every file system raises its own errors
            raise UsageError(f"{self.url}: not usable as an output ({one_line(error)})") from error
        if not isinstance(previous, Mapping):
            raise UsageError(f"{self.url}: is not empty and is not a batch output; choose another with -o.")
        for name, value in settings.items():
            if previous.get(name) != value:
                raise UsageError(
                    f"{self.url}: made with {name} {previous.get(name)}, not {value}; use the same options "
                    "or another folder."
                )

    def prepare(self, settings: Mapping[str, Any], redo: Collection[str]) -> None:
        """Record what results are made with, and delete the rows of videos that are segmented again."""
        self.write(_SETTINGS, json_document(dict(settings)).encode())
        for table in _SCHEMAS if redo else ():
            for name, part in self._parts(table):
                kept = [path not in redo for path in part["path"].to_pylist()]
                if not all(kept):
                    self._replace(name, part.filter(pa.array(kept)))

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to the tables, as a file each.

        The files are named by the videos: a task that is repeated replaces its own, so no row is there twice.
        """
        key = hashlib.sha256("\n".join(row["path"] for row in rows).encode()).hexdigest()[:16]
        for table, schema in _SCHEMAS.items():
            own = [row for row in rows if (row["status"] == DONE) == (table == DONE_TABLE)]
            self._replace(f"{table}/part-{key}.parquet", pa.Table.from_pylist(own, schema=schema))

    def rows(self, table: str, *columns: str) -> dict[str, dict[str, Any]]:
        """Return the rows of a table by path: all of their columns, or some."""
        wanted = ["path", *columns] if columns else None
        return {row["path"]: row for _, part in self._parts(table, wanted) for row in part.to_pylist()}

    def _parts(self, table: str, columns: list[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
        """Yield the files of a table, with their names in the folder."""
        for part in self.names(table):
            name = f"{table}/{part}"
            content = self.files.cat_file(name)
            try:
                rows = parquet.read_table(pa.BufferReader(content), columns=columns)
            except (pa.ArrowException, OSError, KeyError) as error:
                raise DataError(f"{self.url}/{name}: not readable ({one_line(error)}); delete it") from error
            yield name, rows

    def _replace(self, name: str, table: pa.Table) -> None:
        """Write rows as a file of a table; without any, there is no file."""
        if table.num_rows:
            sink = pa.BufferOutputStream()
            parquet.write_table(table, sink, compression="zstd")
            self.write(name, sink.getvalue().to_pybytes())
        elif self.files.exists(name):
            self.files.rm_file(name)
