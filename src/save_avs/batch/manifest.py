"""Inputs of a batch run: files, folders, patterns and URLs, or a list of them in a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from save_avs._extras import require
from save_avs._text import one_line
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

    Text has one per line; tables have a column ``path`` or ``url``. Relative paths start in the working
    folder.

    Raises:
        UsageError: the file does not exist.
        DataError: its content does not match its suffix, or it has no such column.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        if path.suffix.lower() not in (".jsonl", ".csv", ".parquet"):
            text = path.read_text(encoding="utf-8", errors="surrogateescape")  # names may hold any bytes
            locations = [line.strip("\r") for line in text.split("\n")]
        else:
            locations = _read_column(path)
    except (ValueError, KeyError, NotImplementedError, OSError) as error:  # bases of pyarrow's errors
        raise DataError(f"{path}: not a list of videos ({one_line(error)})") from error
    if bad := [name for name in locations if "\0" in name]:
        raise DataError(f"{path}: not a list of videos ({bad[0]!r} is not a file name)")
    return [location for location in locations if location]


def _read_column(path: Path) -> list[str]:
    """Return the column of paths or URLs of a table."""
    require("cluster", "pyarrow")
    import pyarrow as pa
    from pyarrow import csv, json, parquet

    strings: Any = {name: pa.string() for name in _COLUMNS}
    match path.suffix.lower():
        case ".csv":
            table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=strings))
        case ".jsonl":
            schema = pa.schema(strings)
            table = json.read_json(path, parse_options=json.ParseOptions(explicit_schema=schema))
        case _:
            table = parquet.read_table(path, memory_map=False)
    for name in _COLUMNS:
        if name in table.column_names and table[name].null_count < len(table):
            return [value or "" for value in table[name].cast(pa.string()).to_pylist()]
    raise ValueError(f"no column {' or '.join(_COLUMNS)}")
