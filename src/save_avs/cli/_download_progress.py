"""Progress of fetching on stderr: a bar in a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from save_avs._text import escape_control_chars
from save_avs.cli._progress import PLAIN_EVERY, ProgressDisplay, stderr_progress

if TYPE_CHECKING:
    from save_avs.weights.fetch import TransferProgress


class DownloadProgress(ProgressDisplay):
    """Shows how far each file is, one after another."""

    def __init__(self) -> None:
        self._task: Any = None
        self._shown: tuple[str, str] | None = None
        self._said_at = time.monotonic()

    def step(self, step: TransferProgress) -> None:
        """Show how far a file is by now."""
        if self._bar is not None:
            self._draw(step)
        elif time.monotonic() - self._said_at >= PLAIN_EVERY:
            self._said_at = time.monotonic()
            of = "" if step.total is None else f" of {format_size(step.total)}"
            self.print_info(f"{step.file}: {step.action}, {format_size(step.done)}{of}")

    def _make(self) -> Any:
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn

        described = TextColumn("{task.description}", markup=False)
        return stderr_progress(described, BarColumn(), DownloadColumn(), TransferSpeedColumn())

    def _draw(self, step: TransferProgress) -> None:
        if self._shown != (step.file, step.action):
            self._shown = (step.file, step.action)
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(
                escape_control_chars(f"{step.action} {step.file}"), total=step.total
            )
        self._bar.update(self._task, total=step.total, completed=step.done)


def format_size(count: int) -> str:
    """A number of bytes as people read it."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"
