"""Files behind URLs, on any file system that fsspec opens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from save_avs._extras import require
from save_avs._text import one_line
from save_avs.errors import DataError

_PROTOCOLS = ("http://", "https://", "s3://", "gs://", "gcs://", "az://", "abfs://", "hdfs://")


def is_remote(location: str) -> bool:
    """Return whether a location is a URL rather than a path."""
    return location.startswith(_PROTOCOLS)


def filesystem(url: str) -> tuple[Any, str]:
    """Open the file system of a path or URL, and the path on it."""
    require("cluster", "fsspec")
    from fsspec.core import url_to_fs

    return url_to_fs(url)


def fetch(url: str, file: Path, on_progress: Callable[[], None] = lambda: None) -> str:
    """Copy a remote file to a local one, and return its ETag, empty where the server gives none.

    Raises:
        DataError: it cannot be downloaded.
    """
    try:
        from fsspec.callbacks import Callback

        files, path = filesystem(url)
        files.get_file(path, str(file), callback=Callback(hooks={"": lambda *_, **__: on_progress()}))
        return files.info(path).get("ETag") or ""
    except Exception as error:  # every file system raises its own errors
        raise DataError(f"{url}: cannot be downloaded ({one_line(error)})") from error
