"""Console output of the commands: printing, the output options of every command, apps and their help."""

import functools
import inspect
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer import Option
from typer.core import TyperCommand, TyperGroup

from save_avs._text import escape_control_chars, escape_lines


@dataclass
class OutputSettings:
    """What this run prints."""

    quiet: bool = False  # only results, warnings and errors
    verbose: bool = False  # more than usual
    after_stop: str | None = None  # what Ctrl-C and SIGTERM leave behind, None for nothing


output_settings = OutputSettings()


def print_line(text: object, *, err: bool = False, start: str = "", end: str = "\n") -> None:
    """Print one line; control characters are escaped, so that names cannot steer the terminal."""
    typer.echo(f"{start}{escape_control_chars(str(text))}{end}", err=err, nl=False)


def print_block(text: str) -> None:
    """Print text of several lines, a table or a JSON document, on stdout."""
    typer.echo(escape_lines(text.removesuffix("\n")))


def print_info(text: str, *, start: str = "", end: str = "\n") -> None:
    """Print progress or a remark on stderr, unless --quiet."""
    if not output_settings.quiet:
        print_line(text, err=True, start=start, end=end)


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 frame``, ``2 frames``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


_METAVARS = {"int": "N", "integer": "N", "float": "X", "str": "TEXT", "text": "TEXT"}


class _ShortTypes:
    """Help with short types: N, X or TEXT for options without a metavar, none for flags and arguments."""

    def get_params(self, ctx: Any) -> list[Any]:
        params = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if param.param_type_name == "argument":
                param.display_type_rich = lambda ctx: None
            elif getattr(param, "is_flag", False):
                param.metavar = ""
            elif param.metavar is None:
                described = getattr(param, "type_descriptor", None)  # before typer 0.29, a type of click's
                name = described.annotation.__name__ if described else param.type.name
                param.metavar = _METAVARS.get(name)
        return params


class _Command(_ShortTypes, TyperCommand):
    pass


class _Group(_ShortTypes, TyperGroup):
    pass


def make_app(help: str, commands: Mapping[str, Callable[..., Any]], **settings: Any) -> typer.Typer:
    """Make an app of commands by name; each gets the output options, and its docstring is its help."""
    app = typer.Typer(help=help, no_args_is_help=True, cls=_Group, **settings)
    app.callback()(lambda: None)  # so that one command is a command too
    for name, function in commands.items():
        app.command(name, cls=_Command)(_with_output_options(function))
    return app


def iter_commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield each command under one of click's, called by ``words``, with the words that call it, sorted."""
    for name, part in sorted(getattr(command, "commands", {}).items()):
        yield from iter_commands(part, (*words, name))
    if not hasattr(command, "commands"):
        yield " ".join(words), command


class _EscapingFormatter(logging.Formatter):
    """Log records as lines that cannot steer the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_lines(super().format(record))


def _disable_color(wanted: bool) -> bool:
    if wanted:
        os.environ["NO_COLOR"] = "1"  # which libraries that print colors respect
    return wanted


def _output_flag(*names: str, help: str, **settings: Any) -> Any:
    return Annotated[bool, Option(*names, help=help, rich_help_panel="Output", **settings)]


_OUTPUT_OPTIONS = {
    "quiet": _output_flag("--quiet", "-q", help="Print only results, warnings and errors."),
    "verbose": _output_flag("--verbose", "-v", help="Show FFmpeg output and tracebacks."),
    "no_color": _output_flag(
        "--no-color", help="Print without colors, as with NO_COLOR=1.", callback=_disable_color, is_eager=True
    ),
}


def _with_output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command with the output options, which take effect before it runs."""

    @functools.wraps(command)
    def run(*args: Any, quiet: bool, verbose: bool, no_color: bool, **rest: Any) -> Any:
        output_settings.quiet, output_settings.verbose, output_settings.after_stop = quiet, verbose, None
        os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # huggingface_hub's retries; the error names them
        if quiet:
            os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        logging.captureWarnings(True)
        if logging.lastResort is not None:  # prints what libraries log
            logging.lastResort.setFormatter(_EscapingFormatter())
        if verbose:
            from av.logging import restore_default_callback

            # FFmpeg prints by itself: PyAV's callback takes the interpreter's lock, and a decoder's thread
            # that logs while its decoder is closed would wait for it for ever.
            restore_default_callback()
        return command(*args, **rest)

    output = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=hint)
        for name, hint in _OUTPUT_OPTIONS.items()
    ]
    own = inspect.signature(command, eval_str=True).parameters.values()
    run.__signature__ = inspect.Signature([*own, *output])  # type: ignore[attr-defined]
    run.__annotations__ = command.__annotations__ | _OUTPUT_OPTIONS
    return run
