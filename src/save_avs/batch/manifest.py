"""Inputs of a batch run: files, folders, patterns and URLs, or a list of them in a file."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from save_avs._extras import require
from save_avs.batch.storage import Video, as_video, expand_url, is_remote
from save_avs.errors import DataError, UsageError
from save_avs.inference.result_folders import find_input_videos

_COLUMNS = ("path", "url")  # the first that exists names the videos


def find_videos(inputs: Sequence[str], manifest: Path | None) -> list[Video]:
    """List the videos that inputs and a manifest name, sorted by id, each once.

    Raises:
        UsageError: an input or the manifest does not exist, or names no video.
        DataError: the manifest cannot be read.
    """
    urls = [url for item in inputs if is_remote(item) for url in expand_url(item)]
    files = [item for item in inputs if not is_remote(item)]
    locations = [*urls, *(str(path) for path in (find_input_videos(files) if files else ()))]
    if manifest is not None:
        locations += read_manifest(manifest)
    if not locations:
        raise UsageError("No input: name video files, folders, patterns or URLs, or use --manifest FILE.")
    videos = {video.id: video for video in map(as_video, locations)}
    return [videos[name] for name in sorted(videos)]


def read_manifest(path: Path) -> list[str]:
    """Read a list of paths and URLs; its suffix names the format: .jsonl, .csv, .parquet, otherwise text.

    Tables have a column ``path`` or ``url``; a JSON line is an object with such a key, or the path itself.
    Relative paths start in the current folder.

    Raises:
        UsageError: the file does not exist.
        DataError: its content does not match its suffix, or it has no such column.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    read = _READERS.get(path.suffix.lower(), _read_text)
    try:
        return [location for location in read(path) if location]
    # errors of pyarrow and json are ValueErrors
    except (ValueError, csv.Error, OSError, RecursionError) as error:
        raise DataError(f"{path}: not a list of videos ({' '.join(str(error).split())})") from error


def _read_text(path: Path) -> Iterator[str]:
    for number, line in enumerate(_lines(path), 1):
        yield _location(line, f"line {number}")


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:  # file names may hold any bytes
        for line in lines:
            yield line.strip("\r\n")


def _read_jsonl(path: Path) -> Iterator[str]:
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            yield _location(json.loads(line), f"line {number}")


def _read_csv(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            yield _location(row, f"line {number}")


def _read_parquet(path: Path) -> Iterator[str]:
    require("cluster", "pyarrow")
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        column = next((name for name in _COLUMNS if name in file.schema_arrow.names), None)
        if column is None:
            raise ValueError(f"no column {' or '.join(_COLUMNS)}")
        for batch in file.iter_batches(columns=[column]):
            for number, value in enumerate(batch.column(0).to_pylist(), 1):
                yield _location({column: value}, f"row {number}")


def _location(value: Any, where: str) -> str:
    if isinstance(value, Mapping):
        value = next((value[name] for name in _COLUMNS if name in value), None)
    if not isinstance(value, str):
        raise ValueError(f"{where}: no {' or '.join(_COLUMNS)}")
    if "\0" in value or not _is_encodable(value):
        raise ValueError(f"{where}: not a possible file name")
    return value


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
