"""Inputs of a batch run: files, folders, patterns and URLs, or a list of them in a file."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from save_avs._extras import require
from save_avs._text import one_line
from save_avs.batch.storage import Video, as_video, expand_url, filesystem, is_remote
from save_avs.errors import DataError, UsageError
from save_avs.inference.result_folders import find_input_videos

_COLUMNS = ("path", "url")  # the first that exists names the videos


def find_videos(inputs: Sequence[str], manifest: str | None) -> list[Video]:
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


def read_manifest(url: str) -> list[str]:
    """Read a list of paths and URLs; its suffix names the format: .jsonl, .csv, .parquet, otherwise text.

    Text has one per line; tables have a column ``path`` or ``url``. Relative paths start in the working
    folder. The list may be a URL itself.

    Raises:
        UsageError: it cannot be opened.
        DataError: its content does not match its suffix, or it has no such column.
    """
    try:
        files, path = filesystem(url)
        content = files.cat_file(path)
    except Exception as error:  # every file system raises its own errors
        reason = "no such file" if isinstance(error, FileNotFoundError) else one_line(error)
        raise UsageError(f"{url}: {reason}") from error
    try:
        locations = _parse(content, PurePosixPath(url).suffix.lower())
    except (ValueError, KeyError, NotImplementedError, OSError) as error:  # bases of pyarrow's errors
        raise DataError(f"{url}: not a list of videos ({one_line(error)})") from error
    if bad := [name for name in locations if "\0" in name]:
        raise DataError(f"{url}: not a list of videos ({bad[0]!r} is not a file name)")
    return [location for location in locations if location]


def _parse(content: bytes, suffix: str) -> list[str]:
    """Return the lines of a text, or the column of paths or URLs of a table."""
    if suffix not in (".jsonl", ".csv", ".parquet"):
        text = content.decode("utf-8", "surrogateescape")  # names may hold any bytes
        return [line.strip("\r") for line in text.split("\n")]
    require("cluster", "pyarrow")
    import pyarrow as pa
    from pyarrow import csv, json, parquet

    source, strings = pa.BufferReader(content), {name: pa.string() for name in _COLUMNS}
    if suffix == ".csv":
        table = csv.read_csv(source, convert_options=csv.ConvertOptions(column_types=strings))
    elif suffix == ".jsonl":
        table = json.read_json(source, parse_options=json.ParseOptions(explicit_schema=pa.schema(strings)))
    else:
        table = parquet.read_table(source)
    for name in _COLUMNS:
        if name in table.column_names and table[name].null_count < len(table):
            return [value or "" for value in table[name].cast(pa.string()).to_pylist()]
    raise ValueError(f"no column {' or '.join(_COLUMNS)}")
