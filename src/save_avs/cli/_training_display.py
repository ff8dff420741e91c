"""The progress of a training on stderr: a bar in a terminal, lines now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from save_avs._text import escape_control_chars
from save_avs.cli._progress import ProgressDisplay, format_duration, stderr_progress
from save_avs.training.callbacks.base import Callback, StepStats

PLAIN_EVERY = 30.0  # seconds
GB = 1e9


class TrainingProgress(ProgressDisplay, Callback):
    """Shows how far a stage is, and every validation's figures."""

    def __init__(self) -> None:
        self._task: Any = None

    def on_stage_begin(self, stage: str, step: int, steps: int) -> None:
        """Show the stage in place of the one before."""
        self._stage, self._steps = stage, steps
        self._said_at = time.monotonic()
        if self._bar is not None:
            from rich.markup import escape

            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(
                escape(escape_control_chars(stage)), total=steps, completed=step, detail="starting"
            )

    def on_step_end(self, stats: StepStats) -> None:
        """Show where it stands; as a line only when some time has passed since the last one."""
        if self._bar is not None:
            self._bar.update(self._task, completed=stats.step, detail=_detail(stats))
        elif time.monotonic() - self._said_at >= PLAIN_EVERY or stats.step == stats.steps:
            self._said_at = time.monotonic()
            self.print_info(f"{self._stage} {stats.step}/{stats.steps}: {_detail(stats)}")

    def on_log(self, row: Mapping[str, float]) -> None:
        """Print the figures of a validation; those of training are in the bar."""
        figures = {name.removeprefix("val_"): v for name, v in row.items() if name.startswith("val_")}
        if figures:
            shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
            self.print_info(f"{self._stage} {row['step']:.0f}/{self._steps}: validation  {shown}")

    def on_message(self, text: str) -> None:
        """Print a line."""
        self.print_line(text)

    def _make(self) -> Any:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

        return stderr_progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
        )


def _detail(stats: StepStats) -> str:
    return (
        f"loss {stats.loss:.4g}  lr {stats.lr:.2g}  {stats.frames_per_s:.1f} frames/s  "
        f"data {stats.data_wait:.0%}  {stats.memory / GB:.1f} GB  {format_duration(stats.eta_s)} left"
    )
