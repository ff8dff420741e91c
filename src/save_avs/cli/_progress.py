"""Progress on stderr: a bar in a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from save_avs._text import escape_control_chars
from save_avs.cli._console import output_settings, plural, print_info, print_line

if TYPE_CHECKING:
    from save_avs.inference.segment_options import FrameProgress


class ProgressDisplay:
    """Progress within a ``with`` block; in a terminal, lines it prints stay above its bar.

    ``columns`` names rich's columns between the bar and the details; without a terminal there is a line every
    ``interval`` seconds.
    """

    def __init__(self, *columns: str, interval: float = 5.0) -> None:
        self._columns, self._interval = columns, interval
        self._bar: Any = None
        self._task: Any = None
        self._description: str | None = None
        self._printed_at = time.monotonic()

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not output_settings.quiet:
            from rich import progress
            from rich.console import Console

            columns = [getattr(progress, name)() for name in ("BarColumn", *self._columns)]
            start, detail = (
                progress.TextColumn(f"{{task.{name}}}", markup=False)
                for name in ("description", "fields[detail]")
            )
            self._bar = progress.Progress(
                start, *columns, detail, console=Console(stderr=True), transient=True
            )
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(
        self,
        description: str,
        completed: float,
        total: float | None,
        *,
        detail: str = "",
        line: str = "",
        force: bool = False,
    ) -> None:
        """Show the progress of the task of that description, in place of any other.

        ``detail`` stands behind the bar, whose length is unknown where ``total`` is None. Without a terminal,
        ``line`` is printed, at once with ``force`` and else after the interval.
        """
        if self._bar is not None:
            if description != self._description:
                if self._task is not None:
                    self._bar.remove_task(self._task)
                self._task = self._bar.add_task(escape_control_chars(description), detail="")
                self._description = description
            self._bar.update(self._task, completed=completed, total=total, detail=detail)
        elif line and (force or time.monotonic() - self._printed_at >= self._interval):
            self._printed_at = time.monotonic()
            self.print_info(line)

    def print_line(self, text: str) -> None:
        """Print a line on stderr."""
        if self._bar is None:
            print_line(text, err=True)
        else:
            self._bar.console.print(escape_control_chars(text), markup=False, highlight=False, soft_wrap=True)

    def print_info(self, text: str) -> None:
        """Print a line on stderr, unless --quiet."""
        if not output_settings.quiet:
            self.print_line(text)

    def warn(self, text: str) -> None:
        """Print a warning on stderr."""
        self.print_line(f"warning: {text}")


class VideoProgress(ProgressDisplay):
    """Progress of segmenting one video."""

    def __init__(self, name: str) -> None:
        super().__init__("TaskProgressColumn")
        self._name = name

    def __enter__(self) -> Self:
        super().__enter__()
        self.show(self._name, 0, None, detail="opening")
        return self

    def update(self, progress: FrameProgress) -> None:
        """Show the progress so far."""
        detail = f"{plural(progress.frames, 'frame')}, {progress.frames_per_second:.1f} fps"
        if progress.remaining is not None:
            detail += f", {format_duration(progress.remaining)} left"
        fraction = progress.fraction
        share = "" if fraction is None else f"{fraction:.0%}, "
        total = None if fraction is None else 1.0
        self.show(self._name, fraction or 0.0, total, detail=detail, line=f"{self._name}: {share}{detail}")

    def copied(self, done: int, total: int | None) -> None:
        """Show the bytes that were copied so far."""
        detail = f"fetched {format_size(done)}" + (f" of {format_size(total)}" if total else "")
        self.show(self._name, done, total, detail=detail, line=f"{self._name}: {detail}")


class DownloadProgress(ProgressDisplay):
    """Progress of fetching files, one after another."""

    def __init__(self) -> None:
        super().__init__("DownloadColumn", "TransferSpeedColumn")

    def update(self, task: str, done: int, total: int | None) -> None:
        """Show the bytes of a task so far."""
        of = "" if total is None else f" of {format_size(total)}"
        self.show(task, done, total, line=f"{task}: {format_size(done)}{of}")


def print_count(noun: str, done: int, total: int) -> None:
    """Print how many are done: a line that counts in a terminal, else one after every tenth."""
    if sys.stderr.isatty():
        print_info(f"{done}/{total} {noun}", start="\r", end="\n" if done == total else "")
    elif done == total or done % max(1, total // 10) == 0:
        print_info(f"{done}/{total} {noun}")


def format_duration(seconds: float) -> str:
    """Format seconds as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_size(count: int) -> str:
    """Format bytes, in MB from 0.1 MB on."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"
