"""Where exported models are kept: in the cache, one folder for each model, runtime and version of both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from save_avs.models.serialization import CONFIG, WEIGHTS
from save_avs.weights.cache import cache_dir
from save_avs.weights.identity import sha256_of


def runtime_folder() -> Path:
    """Where everything about runtimes lies."""
    return cache_dir() / "runtimes"


def model_key(folder: Path) -> str:
    """What tells one model folder from another; the config names its bases by their sha256."""
    return _short("".join(sha256_of(folder / name) for name in (CONFIG, WEIGHTS)))


def kept(key: str, name: str, packages: tuple[str, ...], write: Callable[[Path], None]) -> Path:
    """The folder of a model's export; where there is none yet, ``write`` fills an empty one."""
    versions = " ".join(version(package) for package in ("save-avs", "torch", *packages))
    folder = runtime_folder() / key / f"{name}-{_short(versions)}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=".part-", ignore_cleanup_errors=True) as part:
            write(Path(part))
            Path(part).rename(folder)
    return folder


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
