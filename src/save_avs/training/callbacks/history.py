"""What a run's folder tells of its stages: rows of metrics.jsonl, time, figures, samples left out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from save_avs.training.callbacks.stage_record import PICTURES, Progress, read_progress
from save_avs.training.jsonl import Rows
from save_avs.training.logger import BAD_SAMPLES, METRICS
from save_avs.training.recipe import Recipe
from save_avs.training.stage import Stage

VALIDATION = "val_"
MACHINE = ("lr", "frames_per_s", "data_wait", "memory_gb", "skipped")  # columns that are no term of the loss
Row = dict[str, float]
Curve = tuple[list[float], list[float]]  # steps, values


@dataclass(frozen=True)
class StageHistory:
    """A stage as far as it has come.

    Attributes:
        stage: its settings.
        training: rows of means over some steps, in order of steps.
        validation: rows of figures, without their prefix, in order of steps.
        progress: steps and time.
        bad_samples: rows with a ``reason``, one a reason.
        pictures: contact sheet of the last validation; None where there is none.
        finished: its model is written.
    """

    stage: Stage
    training: tuple[Row, ...]
    validation: tuple[Row, ...]
    progress: Progress
    bad_samples: tuple[dict[str, Any], ...]
    pictures: Path | None
    finished: bool

    @property
    def chosen(self) -> Row | None:
        """The validation whose weights are kept: the first of the highest, or the last; None before any."""
        by = self.stage.monitor
        scored = [row for row in self.validation if by is None or row.get(by, math.nan) > -math.inf]
        if not scored:
            return None
        return scored[-1] if by is None else max(scored, key=lambda row: row[by])

    @property
    def skipped(self) -> int:
        """Steps that were not taken."""
        return round(sum(row.get("skipped", 0.0) for row in self.training))

    @property
    def terms(self) -> dict[str, Curve]:
        """The loss and its terms over the steps."""
        names = dict.fromkeys(name for row in self.training for name in row if name not in ("step", *MACHINE))
        return {name: curve(self.training, name) for name in names}

    @property
    def figures(self) -> dict[str, Curve]:
        """The validation figures over the steps."""
        names = dict.fromkeys(name for row in self.validation for name in row if name != "step")
        return {name: curve(self.validation, name) for name in names}


def read_history(recipe: Recipe, stage: Stage) -> StageHistory:
    """Read what is there of a stage; nothing of one that has not begun."""
    folder = recipe.out / stage.name
    training, validation = split_rows(Rows(folder / METRICS).rows())
    pictures = folder / PICTURES
    return StageHistory(
        stage=stage,
        training=training,
        validation=validation,
        progress=read_progress(folder),
        bad_samples=tuple({row["reason"]: row for row in Rows(folder / BAD_SAMPLES).rows()}.values()),
        pictures=pictures if pictures.is_file() else None,
        finished=(folder / "model" / "config.json").is_file(),
    )


def split_rows(rows: Iterable[Row]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Training's and validation's rows, in order of steps.

    A row of an earlier step than those before it was written by a run that had gone back there: what it makes
    again counts.
    """
    training: dict[float, Row] = {}
    validation: dict[float, Row] = {}
    for row in rows:
        step = row["step"]
        for kept in (training, validation):
            while kept and next(reversed(kept)) > step:
                kept.popitem()
        figures = {n.removeprefix(VALIDATION): v for n, v in row.items() if n.startswith(VALIDATION)}
        if figures:
            validation[step] = {"step": step, **figures}
        else:
            training[step] = row
    return tuple(training.values()), tuple(validation.values())


def curve(rows: Iterable[Row], name: str) -> Curve:
    """Steps and values of the rows that have a column."""
    points = [(row["step"], row[name]) for row in rows if name in row]
    return [step for step, _ in points], [value for _, value in points]
