"""Where the files of a clip are stored: ordinary files, or members of tar shards."""

import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any

from PIL import Image, UnidentifiedImageError
from pydantic import NonNegativeInt

from save_avs._files import atomic_path, open_regular, path_lock
from save_avs._remote import fetch
from save_avs._text import first_line
from save_avs.errors import DataError

_HINT = "copy the shard again, or rewrite it: save-avs data shard --help"


class CorruptShardError(DataError):
    """A member of a shard no longer has the content that was written."""


@dataclass(frozen=True)
class Shard:
    """A tar file, opened at the first read and then kept open; one behind a URL is first copied to ``path``.

    Reads name their offset, so threads and forked processes do not disturb each other; a process that
    receives a pickled shard opens it again.
    """

    path: Path
    size: int  # expected, in bytes
    url: str | None = None

    def check(self) -> None:
        """Check that the file exists and has its size; a DataError says what is wrong.

        A shard that is still to be copied is checked when it is.
        """
        if self.url is None or self.path.exists():
            self._check(self.path)

    def _check(self, path: Path) -> None:
        try:
            status = path.stat()
        except (OSError, ValueError) as error:  # ValueError: a name that no file can have
            raise DataError(f"{self}: missing") from error
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{self}: not a file")
        if status.st_size != self.size:
            raise DataError(f"{self}: {status.st_size} bytes instead of {self.size}; {_HINT}")

    def _copy(self, url: str) -> None:
        """Copy the shard to ``path``, once for all processes of this machine."""
        with path_lock(self.path):
            if not self.path.exists():
                with atomic_path(self.path) as part:
                    fetch(url, part)
                    self._check(part)

    def read(self, offset: int, size: int) -> bytes:
        """Read ``size`` bytes at ``offset``; fewer at the end of the file."""
        return os.pread(self._file.fileno(), size, offset)

    @cached_property
    def _file(self) -> io.FileIO:
        if self.url is not None and not self.path.exists():
            self._copy(self.url)
        return self.path.open("rb", buffering=0)

    def __reduce__(self) -> tuple[Any, ...]:
        return Shard, (self.path, self.size, self.url)

    def __str__(self) -> str:
        return self.url or str(self.path)

    def __del__(self) -> None:
        if "_file" in self.__dict__:
            self._file.close()


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
        """Read and verify the content.

        Raises:
            CorruptShardError: the shard is cut off or damaged here.
            OSError: the shard cannot be read.
        """
        content = self.shard.read(self.record.offset, self.record.size)
        if len(content) != self.record.size or zlib.crc32(content) != self.record.crc:
            raise CorruptShardError(f"{self}: damaged; {_HINT}")
        return content

    def __str__(self) -> str:
        return f"{self.shard}/{self.record.name}"


StoredFile = Path | ShardMember


def open_file(file: StoredFile) -> IO[bytes]:
    """Open a shard member or a regular file to read bytes.

    Raises:
        OSError: it cannot be opened, or is not a regular file.
        CorruptShardError: the member is damaged.
    """
    return open_regular(file) if isinstance(file, Path) else io.BytesIO(file.read_bytes())


@contextmanager
def open_image(file: StoredFile) -> Iterator[Image.Image]:
    """Open an image from an untrusted source; the block decodes it.

    Raises:
        DataError: it is missing, broken, or so large that Pillow takes it for a decompression bomb.
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
