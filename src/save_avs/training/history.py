"""The history of a stage, read from a run's folder: logged rows, time, images, skipped samples."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from save_avs.training.callbacks.stage_recorder import IMAGES, StageProgress, read_progress
from save_avs.training.logger import BAD_SAMPLES, METRICS, JsonLinesFile
from save_avs.training.recipe import Recipe
from save_avs.training.stage_config import Stage

VALIDATION_PREFIX = "val_"
NOT_LOSS_TERMS = ("step", "lr", "frames_per_s", "data_wait", "memory_gb", "skipped")
MetricRow = dict[str, float]
Curve = tuple[list[float], list[float]]  # steps, values


@dataclass(frozen=True)
class StageHistory:
    """A stage up to now."""

    stage: Stage
    training: tuple[MetricRow, ...]  # rows of means over some steps, in order of steps
    validation: tuple[MetricRow, ...]  # rows of metrics, without their prefix, in order of steps
    progress: StageProgress  # steps and time
    bad_samples: tuple[dict[str, Any], ...]  # rows with a ``reason``, one per reason
    images: Path | None  # contact sheet of the last validation, or None
    finished: bool  # whether its model is written

    @property
    def selected(self) -> MetricRow | None:
        """The validation whose weights are kept: the first of the highest, or the last; None before any."""
        monitor = self.stage.monitor
        rows = [row for row in self.validation if monitor is None or row.get(monitor, math.nan) > -math.inf]
        if not rows:
            return None
        return rows[-1] if monitor is None else max(rows, key=lambda row: row[monitor])

    @property
    def skipped(self) -> int:
        """Number of skipped steps."""
        return round(sum(row.get("skipped", 0.0) for row in self.training))

    @property
    def loss_terms(self) -> dict[str, Curve]:
        """The loss and its terms over the steps."""
        names = dict.fromkeys(name for row in self.training for name in row if name not in NOT_LOSS_TERMS)
        return {name: curve(self.training, name) for name in names}

    @property
    def metrics(self) -> dict[str, Curve]:
        """The validation metrics over the steps."""
        names = dict.fromkeys(name for row in self.validation for name in row if name != "step")
        return {name: curve(self.validation, name) for name in names}


def read_history(recipe: Recipe, stage: Stage) -> StageHistory:
    """Read the history of a stage; empty for one that has not started."""
    folder = recipe.out / stage.name
    training: list[MetricRow] = []
    validation: list[MetricRow] = []
    for row in JsonLinesFile(folder / METRICS).rows():
        metrics = {name.removeprefix(VALIDATION_PREFIX): value for name, value in row.items()}
        (training if metrics == row else validation).append(metrics)
    bad_samples = JsonLinesFile(folder / BAD_SAMPLES).rows()
    return StageHistory(
        stage=stage,
        training=tuple(training),
        validation=tuple(validation),
        progress=read_progress(folder),
        bad_samples=tuple({row["reason"]: row for row in bad_samples}.values()),
        images=folder / IMAGES if (folder / IMAGES).is_file() else None,
        finished=(folder / "model" / "config.json").is_file(),
    )


def curve(rows: Iterable[MetricRow], name: str) -> Curve:
    """Return the steps and values of the rows that have a column."""
    points = [(row["step"], row[name]) for row in rows if name in row]
    return [step for step, _ in points], [value for _, value in points]
