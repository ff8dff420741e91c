"""How much is said on stderr, and the options of every command that decide it."""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from save_avs._text import escape_control_chars, escape_lines


@dataclass
class OutputSettings:
    """What this run says: ``quiet``, only results, warnings and errors; ``verbose``, more than usual."""

    quiet: bool = False
    verbose: bool = False


output_settings = OutputSettings()


def print_line(text: object, *, err: bool = False, start: str = "", end: str = "\n") -> None:
    """Print one line: it stays one whatever names are in it, and they cannot steer the terminal."""
    typer.echo(f"{start}{escape_control_chars(str(text))}{end}", err=err, nl=False)


def print_block(text: str) -> None:
    """Print what was laid out in lines: a table, or a JSON document, which stays the same document."""
    typer.echo(escape_lines(text.removesuffix("\n")))


def print_info(text: str, *, start: str = "", end: str = "\n") -> None:
    """Print what is nice to know on stderr: progress, what was chosen, what was written besides."""
    if not output_settings.quiet:
        print_line(text, err=True, start=start, end=end)


def _tame_libraries() -> None:
    """Let libraries' warnings, and what they log, be printed as plain lines too."""
    logging.captureWarnings(True)
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Plain())


class _Plain(logging.Formatter):
    """What libraries log, as lines that cannot steer the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_lines(super().format(record))


def _without_color(wanted: bool) -> bool:
    if wanted:
        os.environ["NO_COLOR"] = "1"  # which whoever colors here asks
    return wanted


def _option(*names: str, about: str, **more: Any) -> Any:
    return Annotated[bool, typer.Option(*names, help=about, rich_help_panel="Output", **more)]


_EVERY = {
    "quiet": _option("--quiet", "-q", about="Only results, warnings and errors."),
    "verbose": _option("--verbose", "-v", about="FFmpeg's words too, and where a failure happened."),
    "no_color": _option(
        "--no-color", about="No colors; as NO_COLOR=1.", callback=_without_color, is_eager=True
    ),
}


def add_output_options(app: typer.Typer) -> None:
    """Give every command of an app, and of the apps in it, the options that decide what is said."""
    for command in app.registered_commands:
        if command.callback is not None:
            command.callback = _speaking(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add_output_options(group.typer_instance)


def _speaking(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the options of every command, which are heard before it runs."""

    @functools.wraps(command)
    def run(*args: Any, quiet: bool, verbose: bool, no_color: bool, **rest: Any) -> Any:
        output_settings.quiet, output_settings.verbose = quiet, verbose
        _tame_libraries()
        if verbose:
            from av.logging import INFO, set_level

            set_level(INFO)
        return command(*args, **rest)

    every = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=hint)
        for name, hint in _EVERY.items()
    ]
    own = inspect.signature(command, eval_str=True).parameters.values()
    run.__signature__ = inspect.Signature([*own, *every])  # type: ignore[attr-defined]
    run.__annotations__ = command.__annotations__ | _EVERY
    return run
