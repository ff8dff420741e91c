"""The folder where fetched weights lie: one folder a name, and a record of each file beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from save_avs._files import atomic_write, read_regular
from save_avs.errors import DataError, UsageError
from save_avs.weights.identity import FileIdentity, identify_file, sha256_of
from save_avs.weights.paths import find_weights_file
from save_avs.weights.registry import PRETRAINED_WEIGHTS, WeightsFile, find_by_sha256

VARIABLE = "SAVE_AVS_CACHE"
RECORD = ".identity.json"


def cache_dir() -> Path:
    """``SAVE_AVS_CACHE``, or ``save-avs/weights`` where this system keeps a user's caches."""
    if given := os.environ.get(VARIABLE):
        return Path(given).expanduser()
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        root = Path.home() / "Library/Caches"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "save-avs" / "weights"


def cached_path(file: WeightsFile, name: str) -> Path:
    """Where a published file lies once it is fetched."""
    return cache_dir() / name / file.file


def record_path(file: Path) -> Path:
    """Where the size and sha256 of a file are kept that it had when it was fetched."""
    return file.with_name(file.name + RECORD)


def read_record(file: Path) -> FileIdentity | None:
    """What a file was when it was fetched; None where nothing, or nothing legible, was recorded."""
    try:
        return FileIdentity.model_validate_json(read_regular(record_path(file)))
    except (OSError, ValidationError):
        return None


def write_record(file: Path, identity: FileIdentity) -> None:
    """Keep what a file was when it was fetched."""
    atomic_write(record_path(file), identity.model_dump_json(indent=2) + "\n")


def resolve_weights(given: str | Path) -> Path:
    """A path, or the name of known weights that lie in the cache, to the file that holds the weights.

    Raises:
        UsageError: when nothing is there; for a known name, the line says how to fetch it.
    """
    path = Path(given)
    if str(given) not in PRETRAINED_WEIGHTS or path.exists():
        return find_weights_file(path)
    file = cached_path(PRETRAINED_WEIGHTS[str(given)].weights, str(given))
    if not file.is_file():
        raise UsageError(f"{given} is not in {cache_dir()}: run `save-avs weights fetch {given}`")
    return file


def identify_published(file: Path) -> FileIdentity:
    """Identify a weight file, under the name it is published by where that can be told."""
    identity = identify_file(file)
    found = find_by_sha256(identity)
    if found is None and (before := read_record(file)) is not None and before.matches(identity):
        return before
    return identity if found is None else identity.model_copy(update={"name": found.name})


def find_weights(wanted: FileIdentity, given: tuple[Path, ...] = ()) -> Path:
    """Find a weight file by what it is: among the paths given (files, folders), then in the cache.

    A file counts when its size and its sha256 agree; the names do not matter.

    Raises:
        UsageError: when a path given does not exist, or the file is nowhere; the line says how to fetch it.
        DataError: when files were given and none is the one wanted.
    """
    named = [file for path in given for file in _files(path)]
    for file in (*named, *_files(cache_dir(), must_exist=False)):
        if file.stat().st_size == wanted.size and sha256_of(file) == wanted.sha256:
            return file
    how = f"give its path as base, or put it into {cache_dir()}"
    if wanted.name in PRETRAINED_WEIGHTS:
        named += [
            file
            for file in (cached_path(PRETRAINED_WEIGHTS[wanted.name].weights, wanted.name),)
            if file.is_file()
        ]
        how = f"run `save-avs weights fetch {wanted.name}`, or give its path as base"
    if named:
        others = ", ".join(f"{file} is {identify_file(file)}" for file in named)
        raise DataError(f"the model stands on {wanted}, and {others}: {how}")
    raise UsageError(f"the model stands on {wanted}, which is not here: {how}")


def _files(path: Path, *, must_exist: bool = True) -> Iterator[Path]:
    """A file, or every file of a folder, in a fixed order."""
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from (file for file in sorted(path.rglob("*")) if file.is_file())
    elif must_exist:
        raise UsageError(f"{path}: no such file or folder; give the base's file, or the folder that holds it")
