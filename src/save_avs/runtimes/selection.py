"""Timings of runtimes measured on this machine, and the fastest one."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from save_avs._files import atomic_write
from save_avs.models.save import Precision
from save_avs.runtimes.base import is_installed
from save_avs.runtimes.cache import model_key, runtime_dir
from save_avs.runtimes.registry import RUNTIMES


class RuntimeTiming(BaseModel):
    """Milliseconds per frame of one runtime for a model in one precision."""

    model_config = ConfigDict(frozen=True)

    runtime: str
    precision: Precision
    ms: float


class _Timings(BaseModel):
    timings: tuple[RuntimeTiming, ...]


def save_timings(folder: Path, timings: Sequence[RuntimeTiming]) -> Path:
    """Write the timings of a model folder on this machine, and return the file."""
    file = _timings_file(folder)
    atomic_write(file, _Timings(timings=tuple(timings)).model_dump_json(indent=2) + "\n")
    return file


def fastest_runtime(folder: Path, precision: Precision) -> str | None:
    """The fastest runtime for a model in a precision, of those installed; None if it was not measured."""
    try:
        timings = _Timings.model_validate_json(_timings_file(folder).read_bytes()).timings
    except (OSError, ValidationError):
        return None
    rows = [row for row in timings if row.precision == precision and _is_usable(row.runtime)]
    return min(rows, key=lambda row: row.ms).runtime if rows else None


def _is_usable(name: str) -> bool:
    return name not in RUNTIMES or is_installed(RUNTIMES[name])


def _timings_file(folder: Path) -> Path:
    """One file per model and machine: a home folder may be shared by several machines."""
    return runtime_dir() / model_key(folder) / f"timings-{platform.node() or 'here'}.json"
