"""The folder where weights are kept, and what lies in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from save_avs.doctor.finding import Finding
from save_avs.weights.cache import VARIABLE, cache_dir, cached_path
from save_avs.weights.registry import PRETRAINED_WEIGHTS

GB = 1e9


def cache() -> Iterator[Finding]:
    """Where it is, how full, and whether it can be written to."""
    folder = cache_dir()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    writable = there.is_dir() and os.access(there, os.W_OK)
    problem = "" if writable else f"{there} cannot be written to: set {VARIABLE} to another folder"
    yield Finding("cache", "folder", str(folder), problem=problem)
    yield Finding("cache", "holds", f"{_size(folder) / GB:.3f} GB")
    yield Finding("cache", "free on its disk", f"{shutil.disk_usage(there).free / GB:.1f} GB")


def weights() -> Iterator[Finding]:
    """Which published weights are there."""
    for known in PRETRAINED_WEIGHTS.values():
        there = all(cached_path(file, known.name).is_file() for file in known.files)
        hint = "" if there else f"save-avs weights fetch {known.name}"
        yield Finding("weights", known.name, there, hint=hint)


def _size(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files)
