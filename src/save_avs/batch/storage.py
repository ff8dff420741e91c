"""Local paths and object stores behind one interface (fsspec): copies of inputs, atomic outputs."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from save_avs._extras import require
from save_avs._files import atomic_write
from save_avs._text import one_line
from save_avs.errors import DataError, SaveAvsError, UsageError
from save_avs.video.discovery import VIDEO_SUFFIXES

_REMOTE = ("http://", "https://", "s3://", "gs://", "gcs://", "az://", "abfs://", "hdfs://")


class Video(NamedTuple):
    """An input video."""

    id: str  # what results know it by: its URL or absolute path, always text
    location: str  # the path or URL that opens it


def is_remote(location: str) -> bool:
    """Return whether a location is a URL rather than a path."""
    return location.startswith(_REMOTE)


def as_video(location: str) -> Video:
    """Identify a video by its URL or absolute path.

    Path bytes that are not UTF-8 are escaped, so that two such files never share an id.
    """
    if is_remote(location):
        return Video(location, location)
    path = os.path.abspath(location)  # noqa: PTH100, symbolic links are kept: an id is what the user named
    return Video(os.fsencode(path).decode("utf-8", "backslashreplace"), path)


def expand_url(pattern: str) -> list[str]:
    """List the videos that a URL names; one with a ``*`` is matched on its file system.

    Raises:
        UsageError: nothing matches, or the file system cannot be listed.
    """
    if "*" not in pattern:
        return [pattern]
    try:
        files, path = filesystem(pattern)
        matches = [files.unstrip_protocol(match) for match in sorted(files.glob(path))]
    except Exception as error:  # every file system raises its own errors
        raise UsageError(f"{pattern}: cannot be listed ({one_line(error)})") from error
    videos = [match for match in matches if PurePosixPath(match).suffix.lower() in VIDEO_SUFFIXES]
    if not videos:
        raise UsageError(f"{pattern}: no video matches this pattern")
    return videos


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
    require("cluster", "fsspec")
    from fsspec.callbacks import Callback

    with TemporaryDirectory(prefix="save-avs-") as folder:
        suffix = PurePosixPath(video.location.partition("?")[0]).suffix.lower()
        file = Path(folder) / f"video{suffix if suffix in VIDEO_SUFFIXES else ''}"
        try:
            files, path = filesystem(video.location)
            files.get_file(path, str(file), callback=Callback(hooks={"": lambda *_, **__: on_progress()}))
            tag = files.info(path).get("ETag") or "no ETag"
        except Exception as error:
            raise DataError(f"{video.id}: cannot be downloaded ({one_line(error)})") from error
        yield file, f"{file.stat().st_size} bytes, {tag}"


class OutputFolder:
    """A folder on any file system, in which every file appears complete or not at all."""

    def __init__(self, url: str) -> None:
        self.url = url if is_remote(url) else str(Path(url).absolute())
        self._files, self._root = filesystem(self.url)

    @contextmanager
    def created(self) -> Iterator[None]:
        """Have a local folder exist within the block, for nodes to look for; deleted again if that fails."""
        path = Path(self._root)
        missing = not is_remote(self.url) and not path.exists()
        if missing:
            path.mkdir(parents=True)
        try:
            yield
        except UsageError:
            if missing:
                path.rmdir()
            raise

    def names(self, folder: str) -> list[str]:
        """Names of the files in a subfolder, sorted; hidden ones (incomplete) left out."""
        path = f"{self._root}/{folder}" if folder else self._root
        self._files.invalidate_cache()
        if not self._files.exists(path):
            return []
        names = (PurePosixPath(entry).name for entry in self._files.ls(path, detail=False))
        return sorted(name for name in names if not name.startswith("."))

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        return self._files.cat_file(f"{self._root}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically: renamed when complete on a local disk, a single PUT on an object store.

        Raises:
            SaveAvsError: it cannot be written.
        """
        try:
            if is_remote(self.url):
                self._files.pipe_file(f"{self._root}/{name}", content)
                return
            atomic_write(Path(self._root) / name, content, sync=True)
        except Exception as error:
            raise SaveAvsError(f"{self.url}/{name}: cannot be written ({one_line(error)})") from error

    def upload(self, folder: Path, name: str) -> None:
        """Copy the files of a local folder, and of the folders in it, into a subfolder."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.write(f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def remove(self, name: str) -> None:
        """Delete a file."""
        self._files.rm_file(f"{self._root}/{name}")


def filesystem(url: str) -> tuple[Any, str]:
    """Open the file system of a path or URL, and the path on it."""
    require("cluster", "fsspec")
    from fsspec.core import url_to_fs

    return url_to_fs(url)
