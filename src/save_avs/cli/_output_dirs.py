"""Where a report goes: never over another one that was not named."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from save_avs.errors import UsageError

EVALUATIONS, STUDIES = Path("runs/eval"), Path("runs/studies")


def resolve_output_dir(output: Path | None, default: Path, *, overwrite: bool) -> Path:
    """The folder a report is to make: ``output``, or the next free name like ``default``.

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


def default_eval_dir(models: Sequence[str], data: str, split: str) -> Path:
    """Where the evaluation of models goes by default."""
    return EVALUATIONS / "-".join([*map(model_label, models), data, split])


def model_label(model: str) -> str:
    """What to call a model: its own name or its folder's; run and stage for a ``RUN/STAGE/model``."""
    path = Path(model).resolve()
    return "-".join(path.parts[-3:-1]) if path.name == "model" else path.name


def unique_names(models: Sequence[str]) -> dict[str, str]:
    """A short name for each model, unlike the others': its own, or with a number."""
    names: dict[str, str] = {}
    for model in models:
        stem = model_label(model)
        name, number = stem, 2
        while name in names:
            name, number = f"{stem}-{number}", number + 1
        names[name] = model
    return names
