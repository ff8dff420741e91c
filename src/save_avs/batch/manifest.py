"""Lists of clips in a file: text, JSON lines, CSV or Parquet."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from save_avs.batch.messages import Entry
from save_avs.batch.storage import entry_of, expand, is_remote
from save_avs.errors import DataError, UsageError
from save_avs.inference.result_folders import find_input_videos

COLUMNS = ("path", "url")  # the first that is there names the clips


def find_entries(inputs: Sequence[str], manifest: Path | None) -> list[Entry]:
    """List the clips that inputs and a manifest name, in order of their names, each once.

    Raises:
        UsageError: an input or the manifest does not exist, or names no clip.
        DataError: the manifest cannot be read.
    """
    addresses = [clip for item in inputs if is_remote(item) for clip in expand(item)]
    files = [item for item in inputs if not is_remote(item)]
    locations = [*addresses, *(str(path) for path in (find_input_videos(files) if files else ()))]
    if manifest is not None:
        locations += read_manifest(manifest)
    if not locations:
        raise UsageError(
            "no input: name video files, folders, patterns or addresses, or give --manifest FILE"
        )
    entries = {entry.name: entry for entry in map(entry_of, locations)}
    return [entries[name] for name in sorted(entries)]


def read_manifest(path: Path) -> list[str]:
    """Read the paths and addresses of a list; its suffix says how: .jsonl, .csv, .parquet, else text.

    Tables have a column ``path`` or ``url``; a line of JSON is an object with such a key, or the path itself.
    Paths are relative to the current folder.

    Raises:
        UsageError: no such file.
        DataError: not what its suffix says, or without such a column.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    read = _READERS.get(path.suffix.lower(), _read_text)
    try:
        return [clip for clip in read(path) if clip]
    # pyarrow's and json's errors are ValueErrors
    except (ValueError, csv.Error, OSError, RecursionError) as error:
        raise DataError(
            f"{path}: cannot be read as a list of clips ({' '.join(str(error).split())})"
        ) from error


def _read_text(path: Path) -> Iterator[str]:
    for number, line in enumerate(_lines(path), 1):
        yield _clip_of(line, f"line {number}")


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:  # names may be any bytes
        for line in lines:
            yield line.strip("\r\n")


def _read_jsonl(path: Path) -> Iterator[str]:
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            yield _clip_of(json.loads(line), f"line {number}")


def _read_csv(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            yield _clip_of(row, f"line {number}")


def _read_parquet(path: Path) -> Iterator[str]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        column = next((name for name in COLUMNS if name in file.schema_arrow.names), None)
        if column is None:
            raise ValueError(f"no column {' or '.join(COLUMNS)}")
        for batch in file.iter_batches(columns=[column]):
            for number, value in enumerate(batch.column(0).to_pylist(), 1):
                yield _clip_of({column: value}, f"row {number}")


def _clip_of(said: Any, where: str) -> str:
    if isinstance(said, Mapping):
        said = next((said[name] for name in COLUMNS if name in said), None)
    if not isinstance(said, str):
        raise ValueError(f"{where}: no {' or '.join(COLUMNS)}")
    if "\0" in said or not _is_encodable(said):
        raise ValueError(f"{where}: no name that a file can have")
    return said


def _is_encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


_READERS: dict[str, Callable[[Path], Iterator[str]]] = {
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
