"""Opening files of strangers: a pipe would be waited for, and a device has no end."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import IO


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file, or a link to one, to read bytes.

    Raises:
        OSError: when that cannot be, or something else lies there.
    """
    no_name = "\0" in str(path)  # no file is called so, and Python refuses to ask
    if no_name or (path.exists() and not path.is_file()):
        raise OSError(errno.EINVAL, "not a file", str(path))
    return path.open("rb")


def read_regular(path: Path) -> bytes:
    """Read a regular file whole.

    Raises:
        OSError: as ``open_regular``.
    """
    with open_regular(path) as file:
        return file.read()
