"""Results of runs, as a CSV table per study with a column per run.

The first rows are facts about a run, such as its F-score and its training time. Each further row is a scored
unit (a scene under one sound, or a clip), identified by ``measure`` (its kind), ``unit``, ``source`` and
``target_area``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from save_avs._files import atomic_write
from save_avs.errors import DataError

FILE = "results.csv"
COMMITTED = Path(__file__).parent / "results"
_DIGITS = 6


class Unit(NamedTuple):
    """A scene under one of its sounds, or a clip.

    Attributes:
        kind: of the sound, or ``clip``.
        unit: name of the scene or clip, the same for every run.
        source: units of one source are not independent.
        target_area: share of the frame that should be marked.
    """

    kind: str
    unit: str
    source: str
    target_area: float


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """A finished run.

    Attributes:
        variant, seed: of the run.
        digest: of everything that was trained and scored (``Run.identity``); empty for committed results.
        f_score: over all units.
        frames: frames (or clips) trained on, in all stages; 0 without training.
        seconds: training time of all stages.
        memory_gb: peak of the last stage; None without training.
        ms_per_frame: inference time; None until it was measured.
        trained_parameters, parameters: of the model.
        flops_per_frame: of a forward pass.
        training_flops: of a forward pass over all frames of all stages; None where it is not known.
        machine: CPU or GPU, threads, torch.
        values: IoU of each unit, or the share of the frame that was marked where nothing should be.
    """

    variant: str
    seed: int
    digest: str = ""
    f_score: float
    frames: int
    seconds: float
    memory_gb: float | None
    ms_per_frame: float | None = None
    trained_parameters: int
    parameters: int
    flops_per_frame: int
    training_flops: float | None = None
    machine: str
    values: Mapping[Unit, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the run."""
        return run_name(self.variant, self.seed)


_FACTS: dict[str, type] = {
    "digest": str,
    "f_score": float,
    "frames": int,
    "seconds": float,
    "memory_gb": float,
    "ms_per_frame": float,
    "trained_parameters": int,
    "parameters": int,
    "flops_per_frame": int,
    "training_flops": float,
    "machine": str,
}


def run_name(variant: str, seed: int) -> str:
    """Name of a run, which is also that of its folder."""
    return f"{variant}-seed{seed}"


def write_results(path: Path, results: Sequence[RunResult]) -> None:
    """Write the table of a study atomically; values are rounded to six digits after the point."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["measure", "unit", "source", "target_area", *(result.name for result in results)])
    for fact in _FACTS:
        cells = [_shown(getattr(result, fact)) for result in results]
        if any(cells):
            writer.writerow([fact, "", "", "", *cells])
    for unit in dict.fromkeys(unit for result in results for unit in result.values):
        values = (_shown(result.values.get(unit)) for result in results)
        writer.writerow([*unit[:3], _shown(unit.target_area), *values])
    atomic_write(path, text.getvalue())


def read_results(path: Path) -> list[RunResult]:
    """Read a table; nothing where there is none.

    Raises:
        DataError: it is not a table of results.
    """
    if not path.is_file():
        return []
    try:
        head, *rows = list(csv.reader(path.read_text("utf-8").splitlines()))
        return [_read_column(head[k], [(*row[:4], row[k]) for row in rows]) for k in range(4, len(head))]
    except (ValueError, TypeError, LookupError) as error:
        raise DataError(f"{path}: not a table of results ({error})") from error


def _read_column(name: str, rows: Iterable[tuple[str, ...]]) -> RunResult:
    variant, seed = name.rsplit("-seed", 1)
    facts: dict[str, Any] = {}
    values: dict[Unit, float] = {}
    for measure, unit, source, area, value in rows:
        if not value:
            continue
        if unit:
            values[Unit(measure, unit, source, float(area))] = float(value)
        else:
            facts[measure] = _FACTS[measure](value)
    facts.setdefault("memory_gb", None)
    return RunResult(variant=variant, seed=int(seed), values=values, **facts)


def _shown(value: float | str | None) -> str:
    if isinstance(value, float):
        return f"{round(value, _DIGITS):.{_DIGITS}f}".rstrip("0").rstrip(".") if value < 1e6 else f"{value:g}"
    return "" if value is None else str(value)


def rename_result(result: RunResult, variant: str, seed: int) -> RunResult:
    """The same result for another run that has the same recipe."""
    return replace(result, variant=variant, seed=seed)
