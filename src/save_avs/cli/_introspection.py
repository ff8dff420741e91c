"""All commands there are: tests walk over them, and the documents' page of commands is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def iter_commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each command below one, under the words that call it, sorted.

    Args:
        command: what ``typer.main.get_command`` makes of an app.
        words: that call ``command`` itself.
    """
    for name, part in sorted(getattr(command, "commands", {}).items()):
        yield from iter_commands(part, (*words, name))
    if not hasattr(command, "commands"):
        yield " ".join(words), command
