"""Where the files of a clip are stored: ordinary files, files behind URLs, or members of tar shards."""

import hashlib
import io
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any, TypeVar

from PIL import Image, UnidentifiedImageError
from pydantic import NonNegativeInt

from save_avs._files import atomic_path, open_regular, path_lock
from save_avs._remote import RemotePath, fetch, filesystem, is_remote, reading
from save_avs._text import first_line
from save_avs.errors import DataError, UsageError
from save_avs.weights.cache import cache_dir

PathT = TypeVar("PathT", bound=PurePath)

_FORBIDDEN = 403
_HINT = "copy the shard again, or rewrite it: save-avs data shard --help"


class CorruptShardError(DataError):
    """A member of a shard no longer has the content that was written."""


def data_path(location: str | PurePath) -> PurePath:
    """Return the path of a file or folder of a data set, or its URL in the form of a path."""
    return RemotePath(location) if is_remote(str(location)) else Path(location)


def exists(path: PurePath) -> bool:
    """Whether a file of a data set exists; of one behind a URL that was not copied yet, a byte is read.

    A UsageError if its server cannot be asked.
    """
    if (found := _place(path).exists()) or isinstance(path, Path):
        return found
    return _ask(path, lambda files, name: files.cat_file(name, start=0, end=1)) is not None


def list_folder(folder: PurePath) -> list[PurePath]:
    """Return what a folder contains, sorted; nothing where there is no such folder."""
    if isinstance(folder, Path):
        return sorted(folder.iterdir()) if folder.is_dir() else []
    found = _ask(folder, lambda files, name: files.ls(name, detail=False)) or []
    return sorted(folder / PurePosixPath(item).name for item in found)


def _ask(path: PurePath, question: Callable[[Any, str], Any]) -> Any:
    """Ask the file system of a URL; returns None where the file or folder does not exist."""
    with reading(str(path), UsageError):
        try:
            return question(*filesystem(str(path)))
        except (FileNotFoundError, PermissionError):  # missing is forbidden where nothing may be listed
            return None
        except Exception as error:
            if getattr(error, "status", 0) == _FORBIDDEN:  # HTTP's own
                return None
            raise


def read_file(path: PurePath, limit: int = -1) -> bytes:
    """Read a table of a data set, or its first ``limit`` bytes; one behind a URL is read there every time.

    An OSError if it cannot be opened, or is not a regular file; a DataError if it cannot be read at its URL.
    """
    if isinstance(path, Path):
        with open_regular(path) as file:
            return file.read(limit)
    with reading(str(path)):
        files, name = filesystem(str(path))
        return files.cat_file(name) if limit < 0 else files.cat_file(name, start=0, end=limit)[:limit]


def _place(path: PurePath, version: str = "") -> Path:
    """Return a local path, or where the copy of a remote one belongs."""
    if isinstance(path, Path):
        return path
    key = hashlib.sha256(f"{path.parent} {version}".encode()).hexdigest()
    return cache_dir() / "datasets" / key / path.name


def local_copy(path: PurePath, version: str = "", check: Callable[[Path], None] = lambda _: None) -> Path:
    """Return a local file with the content of a data set's file.

    A file behind a URL is copied into the cache when it is first needed, once for all processes of this
    machine, after ``check`` accepted it. Another ``version`` is another copy. A DataError if it cannot be
    read.
    """
    copy = _place(path, version)
    if copy != path and not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        with path_lock(copy):
            if not copy.exists():
                with atomic_path(copy) as part:
                    fetch(str(path), part)
                    check(part)
    return copy


@dataclass(frozen=True)
class Shard:
    """A tar file, opened at the first read and then kept open.

    Reads name their offset, so threads and forked processes do not disturb each other; a process that
    receives a pickled shard opens it again.
    """

    path: PurePath
    size: int  # expected, in bytes
    version: str = ""  # of the index of one behind a URL

    def check(self, path: Path) -> None:
        """Check that its file, or a copy of it, exists and has its size; a DataError says what is wrong."""
        try:
            status = path.stat()
        except (OSError, ValueError) as error:  # ValueError: a name that no file can have
            raise DataError(f"{self}: missing") from error
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{self}: not a file")
        if status.st_size != self.size:
            raise DataError(f"{self}: {status.st_size} bytes instead of {self.size}; {_HINT}")

    @cached_property
    def file(self) -> io.FileIO:
        """The open file."""
        return local_copy(self.path, self.version, self.check).open("rb", buffering=0)

    def __reduce__(self) -> tuple[Any, ...]:
        return Shard, (self.path, self.size, self.version)

    def __str__(self) -> str:
        return str(self.path)

    def __del__(self) -> None:
        if "file" in self.__dict__:
            self.file.close()


@dataclass(frozen=True)
class MemberRecord:
    """Member name in a tar file, offset and size of its content in bytes, CRC-32."""

    name: str
    offset: NonNegativeInt
    size: NonNegativeInt
    crc: NonNegativeInt


@dataclass(frozen=True)
class ShardMember:
    """A file in a shard, and where it is there."""

    shard: Shard
    record: MemberRecord

    @property
    def suffix(self) -> str:
        """File name extension, with the dot."""
        return PurePosixPath(self.record.name).suffix

    def read_bytes(self) -> bytes:
        """Read and verify the content; a CorruptShardError if the shard is cut off or damaged here."""
        content = os.pread(self.shard.file.fileno(), self.record.size, self.record.offset)
        if len(content) != self.record.size or zlib.crc32(content) != self.record.crc:
            raise CorruptShardError(f"{self}: damaged; {_HINT}")
        return content

    def __str__(self) -> str:
        return f"{self.shard}/{self.record.name}"


StoredFile = PurePath | ShardMember


def open_file(file: StoredFile) -> IO[bytes]:
    """Open a shard member or a regular file to read bytes.

    An OSError if it cannot be opened, or is not a regular file; a DataError if the member is damaged.
    """
    if isinstance(file, ShardMember):
        return io.BytesIO(file.read_bytes())
    return open_regular(local_copy(file))


@contextmanager
def open_image(file: StoredFile) -> Iterator[Image.Image]:
    """Open an image from an untrusted source; the block decodes it.

    A DataError if it is missing, broken, or so large that Pillow takes it for a decompression bomb.
    """
    try:
        with open_file(file) as stream, Image.open(stream) as image:
            yield image
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{file}: missing") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{file}: not an image") from error
    # Pillow's decoders raise SyntaxError, struct.error and more on truncated files
    except Exception as error:
        raise DataError(f"{file}: cannot be read as an image ({first_line(error)})") from error
