"""The program's commands, and command lines parsed without running them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer

from save_avs.cli import app


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each command with the words that call it."""
    for name, part in sorted(getattr(command, "commands", {}).items()):
        yield from leaves(part, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


PROGRAM: Any = typer.main.get_command(app)
COMMANDS = {" ".join(path): command for path, command in leaves(PROGRAM)}


def parse(arguments: Sequence[str]) -> None:
    """Raise what typer raises when there is no such command or option, or a value does not fit."""
    context = PROGRAM.make_context("save-avs", list(arguments), resilient_parsing=False)
    command, rest = PROGRAM, context._protected_args + context.args
    while hasattr(command, "commands"):
        word, *rest = rest
        command = command.commands[word]
    command.make_context(word, rest, parent=context)
