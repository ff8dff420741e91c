"""Output folders of reports, which never replace one that was not named, and short names of models."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from save_avs.errors import UsageError

EVALUATIONS = Path("runs/eval")


def check_new_folder(output: Path) -> None:
    """Check that a folder to make does not exist.

    Raises:
        UsageError: it exists.
    """
    if output.exists():
        raise UsageError(f"{output} already exists: remove it, or name another folder")


def resolve_output_dir(output: Path | None, default: Path, *, overwrite: bool) -> Path:
    """Return the folder for a report: ``output``, or the next free name like ``default``.

    Raises:
        UsageError: ``output`` exists and may not be overwritten.
    """
    if output is not None:
        if output.exists() and not overwrite:
            raise UsageError(f"{output} already exists: name another folder, or add --overwrite")
        if output.exists() and not output.is_dir():
            raise UsageError(f"{output} is not a folder")
        return output
    if overwrite:
        return default
    names = (default if n == 1 else default.with_name(f"{default.name}-{n}") for n in count(1))
    return next(name for name in names if not name.exists())


def default_eval_dir(models: Sequence[str], data: str, split: str) -> Path:
    """Return the default folder for an evaluation."""
    return EVALUATIONS / "-".join([*map(model_label, models), data, split])


def model_label(model: str) -> str:
    """Return a short name of a model: its folder's name; run and stage of ``RUN/STAGE/model``."""
    path = Path(model).resolve()
    return "-".join(path.parts[-3:-1]) if path.name == "model" else path.name


def unique_names(models: Sequence[str]) -> dict[str, str]:
    """Return the models by short names, which get a number where they would be equal."""
    names: dict[str, str] = {}
    for model in models:
        stem = model_label(model)
        name, number = stem, 2
        while name in names:
            name, number = f"{stem}-{number}", number + 1
        names[name] = model
    return names
