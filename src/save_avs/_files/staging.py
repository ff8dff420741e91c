"""Results appear whole or not at all: written to a folder aside, which is renamed when all is done."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from save_avs.errors import UsageError

OVERLAY_FILE = "overlay.mp4"
MATTE_FILE = "matte.mov"
MASKS_FILE = "masks.json"
TIMELINE_FILE = "timeline.png"
SUMMARY_FILE = "summary.json"


@contextmanager
def atomic_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Hand out an empty folder beside ``folder``, and rename it to ``folder`` when the block ends well.

    Whatever ends the block early removes it, and leaves a former ``folder`` as it was.

    Raises:
        UsageError: ``folder`` exists (before the block, or by then) and ``overwrite`` is not given.
    """
    if folder.exists() and not overwrite:
        raise UsageError(f"{folder} already exists; name another folder, or add --overwrite")
    short = folder.name[:60]  # a name may not grow past what file systems take
    partial = folder.with_name(f".{short}.partial")
    former = folder.with_name(f".{short}.former")
    _remove(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            if not overwrite:
                raise UsageError(f"{folder} appeared while it was being made")
            _remove(former)
            folder.rename(former)
        partial.rename(folder)
        _remove(former)
    except BaseException:
        if former.exists() and not folder.exists():
            former.rename(folder)
        raise
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
