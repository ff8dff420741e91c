"""A tar file as a store of members that are read by their place in it."""

from __future__ import annotations

import io
import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

from save_avs.datasets.storage import CorruptShardError
from save_avs.errors import DataError

COPY_AGAIN = "copy the shard again, or make it anew: save-avs data shard --help"


class Shard:
    """One tar file, opened when something is first read from it and then kept open.

    Every read names its place, so neither threads nor processes that were forked with it open disturb each
    other; a process that was sent it opens it for itself.

    Args:
        path: the file.
        size: what it must have, bytes.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        self._file: io.FileIO | None = None

    def check(self) -> None:
        """See whether the file is there and whole, by its size.

        Raises:
            DataError: when it is not.
        """
        try:
            found = self.path.stat()
        except (OSError, ValueError) as error:  # ValueError: of a name that no file can have
            raise DataError(f"{self.path}: missing") from error
        if not stat.S_ISREG(found.st_mode):
            raise DataError(f"{self.path}: not a file")
        if found.st_size != self.size:
            raise DataError(f"{self.path}: has {found.st_size} bytes in place of {self.size}; {COPY_AGAIN}")

    def read(self, offset: int, size: int) -> bytes:
        """Read ``size`` bytes from ``offset`` on; fewer where the file ends.

        Raises:
            OSError: when the file cannot be read.
        """
        if self._file is None:
            self._file = self.path.open("rb", buffering=0)
        return os.pread(self._file.fileno(), size, offset)

    def __reduce__(self) -> tuple[Any, ...]:
        return Shard, (self.path, self.size)

    def __del__(self) -> None:
        file = self._file
        if file is not None:
            file.close()


@dataclass(frozen=True)
class ShardMember:
    """A file in a shard, which is opened and named as a path is.

    Attributes:
        shard: the tar file.
        name: of the member in it.
        offset: of its first byte in the tar file.
        size: bytes.
        crc: CRC-32 of its content.
    """

    shard: Shard
    name: str
    offset: int
    size: int
    crc: int

    @property
    def suffix(self) -> str:
        """The end of its name, with the dot."""
        return PurePosixPath(self.name).suffix

    def exists(self) -> bool:
        """Whether the index knows it, which it does."""
        return True

    def open(self, _: Literal["rb"] = "rb", /) -> IO[bytes]:
        """Its content.

        Raises:
            CorruptShardError: when the shard is torn or damaged here.
            OSError: when the shard cannot be read.
        """
        content = self.shard.read(self.offset, self.size)
        if len(content) != self.size or zlib.crc32(content) != self.crc:
            raise CorruptShardError(f"{self}: damaged; {COPY_AGAIN}")
        return io.BytesIO(content)

    def __str__(self) -> str:
        return f"{self.shard.path}/{self.name}"
