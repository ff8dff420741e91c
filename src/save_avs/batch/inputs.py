"""Inputs of a batch run: files, folders, patterns and URLs, or a list of them in a file."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple

from save_avs._extras import require
from save_avs._remote import fetch, filesystem, is_remote, reading
from save_avs._text import one_line
from save_avs.errors import DataError, UsageError
from save_avs.inference.result_folders import find_input_videos
from save_avs.video.discovery import VIDEO_SUFFIXES

_COLUMNS = ("path", "url")  # the first that has values names the videos


class Video(NamedTuple):
    """An input video."""

    path: str  # what results know it by: its URL or absolute path, always text
    location: str  # the path or URL that opens it


def as_video(location: str) -> Video:
    """Identify a video by its URL or absolute path.

    Path bytes that are not UTF-8 are escaped, so that two such files never share a path.
    """
    if is_remote(location):
        return Video(location, location)
    path = os.path.abspath(location)  # noqa: PTH100, symbolic links are kept: it is what the user named
    return Video(os.fsencode(path).decode("utf-8", "backslashreplace"), path)


def find_videos(inputs: Sequence[str], manifest: str | None) -> list[Video]:
    """List the videos that inputs and a manifest name, sorted, each once.

    Raises:
        UsageError: an input or the manifest does not exist, or names no video.
        DataError: the manifest cannot be read.
    """
    locations = [url for item in inputs if is_remote(item) for url in _expand_url(item)]
    if files := [item for item in inputs if not is_remote(item)]:
        locations += map(str, find_input_videos(files))
    locations += [] if manifest is None else read_manifest(manifest)
    if not locations:
        raise UsageError("No input: name video files, folders, patterns or URLs, or use --manifest FILE.")
    videos = {video.path: video for video in map(as_video, locations)}
    return [videos[name] for name in sorted(videos)]


def _expand_url(pattern: str) -> list[str]:
    """List the videos that a URL names; one with a ``*`` is matched on its file system."""
    if "*" not in pattern:
        return [pattern]
    with reading(pattern, UsageError):
        files, path = filesystem(pattern)
        matches = [files.unstrip_protocol(match) for match in sorted(files.glob(path))]
    videos = [match for match in matches if PurePosixPath(match).suffix.lower() in VIDEO_SUFFIXES]
    if not videos:
        raise UsageError(f"{pattern}: no video matches this pattern")
    return videos


def read_manifest(url: str) -> list[str]:
    """Read a list of paths and URLs; its suffix names the format: .jsonl, .csv, .parquet, otherwise text.

    Text has one per line; tables have a column ``path`` or ``url``. Relative paths start in the working
    folder. The list may be a URL itself.

    Raises:
        UsageError: it cannot be opened.
        DataError: its content does not match its suffix, or it has no such column.
    """
    with reading(url, UsageError):
        files, path = filesystem(url)
        content = files.cat_file(path)
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
    from pyarrow import dataset

    formats = {".jsonl": dataset.JsonFileFormat, ".csv": dataset.CsvFileFormat}
    fragment = formats.get(suffix, dataset.ParquetFileFormat)().make_fragment(pa.py_buffer(content))
    table = fragment.to_table(schema=pa.schema(dict.fromkeys(_COLUMNS, pa.string())))
    for column in table.columns:  # null where the file lacks it
        if column.null_count < len(table):
            return [value or "" for value in column.to_pylist()]
    raise ValueError(f"no column {' or '.join(_COLUMNS)}")


def version_of(location: str) -> str:
    """Size and modification time of a local file, to notice a replaced one; empty for anything else."""
    if is_remote(location):
        return ""
    try:
        status = Path(location).stat()
    except OSError:
        return ""
    return f"{status.st_size} bytes, {status.st_mtime_ns} ns"


@contextmanager
def local_copy(video: Video, on_progress: Callable[[], None]) -> Iterator[tuple[Path, str]]:
    """Yield a local file with the video's content, and its version; a DataError if a download fails.

    A downloaded file is deleted afterwards.
    """
    if not is_remote(video.location):
        yield Path(video.location), version_of(video.location)
        return
    with TemporaryDirectory(prefix="save-avs-") as folder:
        suffix = PurePosixPath(video.location.partition("?")[0]).suffix.lower()
        file = Path(folder) / f"video{suffix if suffix in VIDEO_SUFFIXES else ''}"
        fetch(video.location, file, on_progress)
        with reading(video.location):
            files, path = filesystem(video.location)
            tag = files.info(path).get("ETag") or "no ETag"
        yield file, f"{file.stat().st_size} bytes, {tag}"
