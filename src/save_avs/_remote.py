"""Files behind URLs, on any file system that fsspec opens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from save_avs._extras import require
from save_avs._text import one_line
from save_avs.errors import DataError, SaveAvsError

_PROTOCOLS = ("http://", "https://", "s3://", "gs://", "gcs://", "az://", "abfs://", "hdfs://")


class RemotePath(PurePosixPath):
    """A URL, taken apart and joined as a path."""

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)  # a path has no empty parts


def is_remote(location: str) -> bool:
    """Return whether a location is a URL rather than a path."""
    return location.startswith(_PROTOCOLS)


def filesystem(url: str) -> tuple[Any, str]:
    """Open the file system of a path or URL, and the path on it."""
    require("cluster", "fsspec")
    from fsspec.core import url_to_fs

    return url_to_fs(url)


@contextmanager
def reading(url: str, error_type: type[SaveAvsError] = DataError) -> Iterator[None]:
    """Turn what any file system raises in the block into an error of one line."""
    try:
        yield
    except SaveAvsError:
        raise
    except FileNotFoundError as error:
        raise error_type(f"{url}: missing") from error
    except Exception as error:  # every file system raises its own errors
        raise error_type(f"{url}: cannot be read ({one_line(error)})") from error


def fetch(url: str, file: Path, on_progress: Callable[[], None] = lambda: None) -> None:
    """Copy a remote file to a local one.

    Raises:
        DataError: it is missing, or cannot be read.
    """
    require("cluster", "fsspec")
    from fsspec.callbacks import Callback

    with reading(url):
        files, path = filesystem(url)
        files.get_file(path, str(file), callback=Callback(hooks={"": lambda *_, **__: on_progress()}))
