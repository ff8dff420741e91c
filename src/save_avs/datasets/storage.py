"""What the parts of a clip are read from."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Literal, Protocol

from save_avs._files import open_regular
from save_avs.errors import DataError


class CorruptShardError(DataError):
    """What a file is kept in no longer holds what was put there, so nothing may stand in for it."""


class StoredFile(Protocol):
    """A path, or a member of a shard: what can be opened, and whose text names it in messages."""

    @property
    def suffix(self) -> str:
        """The end of its name, with the dot."""
        ...

    def exists(self) -> bool:
        """Whether it is there."""
        ...

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        """Open it to read bytes.

        Raises:
            OSError: when that cannot be.
            CorruptShardError: when its content is not what it was.
        """
        ...


def open_file(file: StoredFile) -> IO[bytes]:
    """Open it to read bytes, where it is a member or a regular file.

    Raises:
        OSError: when that cannot be, or it is no regular file.
        CorruptShardError: when its content is not what it was.
    """
    return open_regular(file) if isinstance(file, Path) else file.open("rb")
