"""Where a report goes: never over another one that was not named."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from save_avs.errors import UsageError

DEFAULT = Path("runs/eval")


def report_folder(
    output: Path | None, models: Sequence[str], data: str, split: str, *, overwrite: bool
) -> Path:
    """The folder a report is to make: ``output``, or the next free name in ``runs/eval``.

    Raises:
        UsageError: ``output`` exists and may not be overwritten.
    """
    stem = DEFAULT / "-".join([*map(short_name, models), data, split])
    return named_folder(output, stem, overwrite=overwrite)


def named_folder(output: Path | None, default: Path, *, overwrite: bool) -> Path:
    """``output``, or else the next free name from ``default`` on; with ``overwrite``, ``default`` itself.

    Raises:
        UsageError: ``output`` exists and may not be overwritten.
    """
    if output is not None:
        if output.exists() and not overwrite:
            raise UsageError(f"{output} exists already: name another folder, or give --overwrite")
        if output.exists() and not output.is_dir():
            raise UsageError(f"{output} is no folder")
        return output
    if overwrite:
        return default
    names = (default if n == 1 else default.with_name(f"{default.name}-{n}") for n in count(1))
    return next(name for name in names if not name.exists())


def short_name(model: str) -> str:
    """What to call a model: its own name or its folder's; run and stage for a ``RUN/STAGE/model``."""
    path = Path(model).resolve()
    return "-".join(path.parts[-3:-1]) if path.name == "model" else path.name
