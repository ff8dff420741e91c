"""Where clips lie: on this machine, or wherever fsspec reads from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from save_avs._extras import require
from save_avs.batch.messages import Entry
from save_avs.errors import DataError, UsageError
from save_avs.video.discovery import VIDEO_SUFFIXES

_REMOTE = ("http://", "https://", "s3://", "gs://", "gcs://", "az://", "abfs://", "hdfs://")


def is_remote(location: str) -> bool:
    """It is an address, not a path on this machine."""
    return location.startswith(_REMOTE)


def entry_of(location: str) -> Entry:
    """Name a clip: an address as it is, a file by its absolute path.

    Bytes of a path that are no UTF-8 are spelled out: two such files must not become one.
    """
    if is_remote(location):
        return Entry(location, location)
    path = os.path.abspath(location)  # noqa: PTH100, links are kept: a clip goes by the name it was given
    return Entry(path, os.fsencode(path).decode("utf-8", "backslashreplace"))


def expand(pattern: str) -> list[str]:
    """List the clips that an address names; one with a ``*`` is looked up where it leads.

    Raises:
        UsageError: nothing matches, or it cannot be looked up.
    """
    if "*" not in pattern:
        return [pattern]
    try:
        files, path = _open(pattern)
        found = [files.unstrip_protocol(hit) for hit in sorted(files.glob(path))]
    except Exception as error:  # each file system has its own
        raise UsageError(f"{pattern}: cannot be looked up ({_one_line(error)})") from error
    media = [hit for hit in found if PurePosixPath(hit).suffix.lower() in VIDEO_SUFFIXES]
    if not media:
        raise UsageError(f"{pattern}: no media file matches this pattern")
    return media


def identity_of(entry: Entry) -> str | None:
    """Size and time of a file's last change, which tell a changed file; None where they are not known."""
    if is_remote(entry.location):
        return None
    try:
        found = Path(entry.location).stat()
    except OSError:
        return None
    return f"{found.st_size} bytes, {found.st_mtime_ns} ns"


@contextmanager
def at_hand(entry: Entry, scratch: str | None, on_progress: Callable[[], None]) -> Iterator[tuple[Path, str]]:
    """Hand out a clip as a file of this machine, and its identity; a copy goes when the block ends.

    ``on_progress`` is called while it is fetched.

    Raises:
        DataError: it cannot be fetched.
    """
    if not is_remote(entry.location):
        yield Path(entry.location), identity_of(entry) or ""
        return
    require("cluster", "fsspec")
    from fsspec.callbacks import Callback

    with TemporaryDirectory(prefix="save-avs-", dir=scratch) as folder:
        suffix = PurePosixPath(entry.location.partition("?")[0]).suffix.lower()
        file = Path(folder) / f"clip{suffix if suffix in VIDEO_SUFFIXES else ''}"
        try:
            files, path = _open(entry.location)
            files.get_file(path, str(file), callback=Callback(hooks={"": lambda *_, **__: on_progress()}))
            tag = files.info(path).get("ETag") or "no tag"
        except Exception as error:  # each file system has its own
            raise DataError(f"{entry.name}: cannot be fetched ({_one_line(error)})") from error
        yield file, f"{file.stat().st_size} bytes, {tag}"


def _open(address: str) -> tuple[Any, str]:
    require("cluster", "fsspec")
    from fsspec.core import url_to_fs

    return url_to_fs(address)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
