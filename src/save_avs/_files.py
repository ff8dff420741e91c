"""Atomic files and folders, which appear complete or not at all, and opening of regular files only."""

import errno
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from save_avs.errors import ExistingFolderError

try:
    import fcntl
except ImportError:  # Windows, where simultaneous runs are not locked out
    fcntl = None

_logger = logging.getLogger(__name__)


@contextmanager
def path_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a path against other threads and processes, waiting until it is free.

    The lock file next to ``path`` is removed at the end, which filelock leaves in place; who has waited for a
    removed one takes a new one. A file system without locks is used without.
    """
    file = path.with_name(f".{path.name[:60]}.lock")
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _wait_for_lock(descriptor, path)
            try:
                if not os.path.samestat(os.fstat(descriptor), file.stat()):
                    continue
            except FileNotFoundError:
                continue
            try:
                yield
            finally:
                file.unlink(missing_ok=True)
            return
        finally:
            os.close(descriptor)


def _wait_for_lock(descriptor: int, path: Path) -> None:
    if fcntl is None:
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _logger.warning("%s: another run is writing it; waiting for its end", path)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP):
            raise


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``, renamed to ``path`` when the block succeeds.

    The folder is created when it is missing. If the block fails or is interrupted (Ctrl-C), the temporary
    file is removed and an existing ``path`` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Keeps the suffix: libraries choose the format by it.
    part = path.with_name(f".{path.stem[:80]}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def atomic_write(path: str | os.PathLike[str], content: str | bytes, *, sync: bool = False) -> None:
    """Write a file through ``atomic_path``; text as UTF-8 with ``\\n`` line ends.

    With ``sync`` the content is on the disk before the name is.
    """
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(path) as part, part.open("wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def atomic_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty temporary folder next to ``folder``, renamed to ``folder`` when the block succeeds.

    If the block fails or is interrupted, the temporary folder is removed and an existing ``folder`` stays
    as it was. Of several runs with one folder each waits for the one before.

    Raises:
        ExistingFolderError: ``folder`` exists, before or after the block, and ``overwrite`` is false.
    """
    if folder.exists() and not overwrite:
        raise ExistingFolderError(f"{folder} already exists: choose another folder, or add --overwrite")
    stem = folder.name[:60]  # keeps the temporary names within what file systems allow
    partial = folder.with_name(f".{stem}.partial")
    previous = folder.with_name(f".{stem}.previous")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with path_lock(folder):
        _refuse_new(folder, overwrite)
        _remove(partial)
        partial.mkdir()
        try:
            yield partial
            _refuse_new(folder, overwrite)
            if folder.exists():
                _remove(previous)
                folder.rename(previous)
            partial.rename(folder)
            _remove(previous)
        except BaseException:
            if previous.exists() and not folder.exists():
                previous.rename(folder)
            raise
        finally:
            _remove(partial)


def _refuse_new(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not overwrite:
        raise ExistingFolderError(f"{folder} was created by another program in the meantime: run again")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file, or a link to one, for reading bytes.

    Reading a named pipe would block, and a device has no end.

    Raises:
        OSError: when the path cannot be opened, or is not a regular file.
    """
    invalid_name = "\0" in str(path)  # os.stat raises a ValueError for it
    if invalid_name or (path.exists() and not path.is_file()):
        raise OSError(errno.EINVAL, "not a file", str(path))
    return path.open("rb")


def read_regular(path: Path) -> bytes:
    """Read all bytes of a regular file."""
    with open_regular(path) as file:
        return file.read()
