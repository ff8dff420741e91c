"""The progress of a training on stderr: a bar in a terminal, lines now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from save_avs.cli.progress import Bar, clock, on_stderr
from save_avs.plain import plain
from save_avs.training.watching.watch import Moment, Watch

PLAIN_EVERY = 30.0  # seconds
GB = 1e9


class TrainingDisplay(Bar, Watch):
    """Shows how far a stage is, and every validation's figures."""

    def __init__(self) -> None:
        self._task: Any = None

    def began(self, stage: str, step: int, steps: int) -> None:
        """Show the stage in place of the one before."""
        self._stage, self._steps = stage, steps
        self._said_at = time.monotonic()
        if self._bar is not None:
            from rich.markup import escape

            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(
                escape(plain(stage)), total=steps, completed=step, detail="starting"
            )

    def stepped(self, moment: Moment) -> None:
        """Show where it stands; as a line only when some time has passed since the last one."""
        if self._bar is not None:
            self._bar.update(self._task, completed=moment.step, detail=_detail(moment))
        elif time.monotonic() - self._said_at >= PLAIN_EVERY or moment.step == moment.steps:
            self._said_at = time.monotonic()
            self.note(f"{self._stage} {moment.step}/{moment.steps}: {_detail(moment)}")

    def logged(self, row: Mapping[str, float]) -> None:
        """Print the figures of a validation; those of training are in the bar."""
        figures = {name.removeprefix("val_"): v for name, v in row.items() if name.startswith("val_")}
        if figures:
            shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
            self.note(f"{self._stage} {row['step']:.0f}/{self._steps}: validation  {shown}")

    def said(self, text: str) -> None:
        """Print a line."""
        self.say(text)

    def _make(self) -> Any:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

        return on_stderr(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
        )


def _detail(moment: Moment) -> str:
    return (
        f"loss {moment.loss:.4g}  lr {moment.lr:.2g}  {moment.frames_per_s:.1f} frames/s  "
        f"data {moment.data_wait:.0%}  {moment.memory / GB:.1f} GB  {clock(moment.left_s)} left"
    )
