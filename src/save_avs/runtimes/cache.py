"""Exported graphs in the cache: one folder per model, runtime and version of both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from save_avs.models.serialization import CONFIG, WEIGHTS
from save_avs.weights.cache import cache_dir
from save_avs.weights.identity import sha256_of


def runtime_dir() -> Path:
    """The folder of all exported graphs and timings."""
    return cache_dir() / "runtimes"


def model_key(folder: Path) -> str:
    """A key of a model folder's contents; its config names pretrained checkpoints by their sha256."""
    return _short_hash("".join(sha256_of(folder / name) for name in (CONFIG, WEIGHTS)))


def cached_export(key: str, name: str, packages: tuple[str, ...], write: Callable[[Path], None]) -> Path:
    """The folder of a model's export; where there is none yet, ``write`` fills an empty one."""
    versions = " ".join(version(package) for package in ("save-avs", "torch", *packages))
    folder = runtime_dir() / key / f"{name}-{_short_hash(versions)}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=".part-", ignore_cleanup_errors=True) as part:
            write(Path(part))
            Path(part).rename(folder)
    return folder


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
