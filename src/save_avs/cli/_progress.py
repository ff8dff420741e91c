"""Progress on stderr: a bar in a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from save_avs._text import escape_control_chars
from save_avs.cli._console import output_settings, print_info, print_line

if TYPE_CHECKING:
    from save_avs.inference import FrameProgress

PLAIN_EVERY = 5.0  # seconds


class ProgressDisplay(ABC):
    """A bar while the block lasts, in a terminal. Lines printed with ``print_line`` stand above it, not in it."""

    _bar: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not output_settings.quiet:
            self._bar = self._make()
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def print_line(self, text: str) -> None:
        """Print a line on stderr."""
        if self._bar is not None:
            self._bar.console.print(escape_control_chars(text), markup=False, highlight=False, soft_wrap=True)
        else:
            print_line(text, err=True)

    def print_info(self, text: str) -> None:
        """Print a line on stderr, unless nothing but warnings is wanted there."""
        if not output_settings.quiet:
            self.print_line(text)

    @abstractmethod
    def _make(self) -> Any:
        """A rich progress bar with its columns."""


class VideoProgress(ProgressDisplay):
    """Shows how far one video is."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._said_at = 0.0

    def update(self, progress: FrameProgress) -> None:
        """Show how far it is by now."""
        if self._bar is not None:
            fraction = progress.fraction
            self._bar.update(
                self._task,
                total=None if fraction is None else 1.0,
                completed=fraction or 0.0,
                detail=_detail(progress),
            )
        elif progress.elapsed - self._said_at >= PLAIN_EVERY:
            self._said_at = progress.elapsed
            share = "" if progress.fraction is None else f"{100 * progress.fraction:.0f} %, "
            self.print_info(f"{self._name}: {share}{_detail(progress)}")

    def warn(self, text: str) -> None:
        """Print something worth knowing on stderr."""
        self.print_line(f"warning: {text}")

    def _make(self) -> Any:
        from rich.markup import escape
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn

        bar = stderr_progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[detail]}"),
        )
        self._task = bar.add_task(escape(escape_control_chars(self._name)), total=None, detail="opening")
        return bar


def stderr_progress(*columns: Any) -> Any:
    """A rich progress bar that leaves nothing behind."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(*columns, console=Console(stderr=True), transient=True)


def count(what: str, done: int, of: int) -> None:
    """Say how many of what are done: a line that counts in a terminal, else one every tenth of the way."""
    if sys.stderr.isatty():
        print_info(f"{done}/{of} {what}", start="\r", end="\n" if done == of else "")
    elif done == of or done % max(1, of // 10) == 0:
        print_info(f"{done}/{of} {what}")


def _detail(progress: FrameProgress) -> str:
    text = f"{progress.frames} frames, {progress.frames_per_second:.1f} fps"
    return text if progress.remaining is None else f"{text}, {format_duration(progress.remaining)} left"


def format_duration(seconds: float) -> str:
    """A time in hours, minutes and seconds: ``1:02:03``, or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
