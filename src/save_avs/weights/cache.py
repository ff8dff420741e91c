"""The cache of fetched weights, and finding weight files: by path, by published name, by sha256."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from save_avs._files import atomic_write, read_regular
from save_avs.errors import DataError, UsageError
from save_avs.weights.identity import FileIdentity, identify_file, sha256_of
from save_avs.weights.registry import WeightsFile, find_by_sha256, pretrained_weights

CACHE_VARIABLE = "SAVE_AVS_CACHE"
RECORD_SUFFIX = ".identity.json"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")  # of a Hugging Face folder


def cache_dir() -> Path:
    """Return ``SAVE_AVS_CACHE``, or ``save-avs/weights`` in this system's folder for user caches."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).expanduser()
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        root = Path.home() / "Library/Caches"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "save-avs" / "weights"


def cached_path(file: WeightsFile, name: str) -> Path:
    """Return the path that a published file has once it is fetched."""
    return cache_dir() / name / file.file


def record_path(file: Path) -> Path:
    """Return the path of the record that holds the size and sha256 of a file when it was fetched."""
    return file.with_name(file.name + RECORD_SUFFIX)


def read_record(file: Path) -> FileIdentity | None:
    """Return the identity of a file when it was fetched; None without a readable record."""
    try:
        return FileIdentity.model_validate_json(read_regular(record_path(file)))
    except (OSError, ValidationError):
        return None


def write_record(file: Path, identity: FileIdentity) -> None:
    """Record the identity of a fetched file."""
    atomic_write(record_path(file), identity.model_dump_json(indent=2) + "\n")


def find_weights_file(path: Path) -> Path:
    """Return a weight file itself, or the one in a Hugging Face folder; a UsageError if there is none."""
    if path.is_file():
        return path
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; give a checkpoint, or the folder that holds it")
    if not path.is_dir():
        raise UsageError(f"{path}: not a file")
    for name in WEIGHT_FILES:
        if (path / name).is_file():
            return path / name
    raise UsageError(f"{path}: the folder contains none of {', '.join(WEIGHT_FILES)}")


def resolve_weights(given: str | Path) -> Path:
    """Return the file that holds the weights of a path, or of published weights in the cache.

    Raises:
        UsageError: when there is none; for published weights, the message says how to fetch them.
    """
    path = Path(given)
    if str(given) not in pretrained_weights() or path.exists():
        return find_weights_file(path)
    file = cached_path(pretrained_weights()[str(given)].weights, str(given))
    if not file.is_file():
        raise UsageError(f"{given} is not in {cache_dir()}: run `save-avs weights fetch {given}`")
    return file


def identify_published(file: Path) -> FileIdentity:
    """Identify a weight file, under its published name where the sha256 or its record shows one."""
    identity = identify_file(file)
    if (published := find_by_sha256(identity)) is not None:
        return identity.model_copy(update={"name": published.name})
    record = read_record(file)
    return record if record is not None and record.matches(identity) else identity


def find_weights(wanted: FileIdentity, given: tuple[Path, ...] = ()) -> Path:
    """Find a weight file by size and sha256: among the paths given (files, folders), then in the cache.

    Raises:
        UsageError: when a given path does not exist, or the file is not found; the message says how to fetch
            it.
        DataError: when other files were given or fetched under its name.
    """
    others = [file for path in given for file in _files_in(path)]
    cached = _files_in(cache_dir()) if cache_dir().exists() else ()
    for file in (*others, *cached):
        if file.stat().st_size == wanted.size and sha256_of(file) == wanted.sha256:
            return file
    advice = f"give its path as pretrained, or put it into {cache_dir()}"
    if wanted.name in pretrained_weights():
        fetched = cached_path(pretrained_weights()[wanted.name].weights, wanted.name)
        others += [fetched] if fetched.is_file() else []
        advice = f"run `save-avs weights fetch {wanted.name}`, or give its path as pretrained"
    if others:
        listed = ", ".join(f"{file} is {identify_file(file)}" for file in others)
        raise DataError(f"This model requires the base weights {wanted}, but {listed}: {advice}")
    raise UsageError(f"This model requires the base weights {wanted}, which were not found: {advice}")


def _files_in(path: Path) -> Iterator[Path]:
    """Yield a file, or every file of a folder in a fixed order."""
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from (file for file in sorted(path.rglob("*")) if file.is_file())
    else:
        raise UsageError(f"{path}: no such file or folder; give the base weights, or their folder")
