"""The program's commands, and command lines parsed without running them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from save_avs.cli import make_program
from save_avs.cli._console import iter_commands

PROGRAM: Any = typer.main.get_command(make_program())
COMMANDS = dict(iter_commands(PROGRAM))


def parse(arguments: Sequence[str]) -> None:
    """Raise what typer raises when there is no such command or option, or a value does not fit."""
    context = PROGRAM.make_context("save-avs", list(arguments), resilient_parsing=False)
    command, rest = PROGRAM, context._protected_args + context.args
    while hasattr(command, "commands"):
        word, *rest = rest
        command = command.commands[word]
    command.make_context(word, rest, parent=context)
