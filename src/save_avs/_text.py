"""Text for terminals and documents: escaped control characters, paths, Markdown tables, JSON."""

import json
import math
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

# Control characters (C0, DEL, C1), line and paragraph separators, bidirectional controls, lone surrogates.
_ESCAPED = (
    *range(0x20),
    *range(0x7F, 0xA0),
    0x61C,
    *(0x200E, 0x200F),
    *range(0x2028, 0x202F),
    *range(0x2066, 0x206A),
    *range(0xD800, 0xE000),
)
# Spelled as in JSON, so that an escaped JSON document still parses to the same value.
_ESCAPES = {code: f"\\u{code:04x}" for code in _ESCAPED} | {9: r"\t", 10: r"\n", 13: r"\r"}


def escape_control_chars(text: str) -> str:
    """Escape whatever would control a terminal, start a new line or reverse the writing direction."""
    return text.translate(_ESCAPES)


def escape_lines(text: str) -> str:
    """Escape each line of a text as ``escape_control_chars`` does, and keep its line breaks."""
    return "\n".join(map(escape_control_chars, text.split("\n")))


def one_line(error: object) -> str:
    """Return a message on one line; the name of the error's class where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def first_line(error: object) -> str:
    """Return the first line of a message; the name of the error's class where it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def print_traceback(error: BaseException) -> None:
    """Print the traceback of an exception on stderr, escaped."""
    print(escape_lines("".join(traceback.format_exception(error))), end="", file=sys.stderr, flush=True)


def path_text(path: object) -> str:
    """Convert a path or a URL to text that any file can hold: bytes that are not UTF-8 become `?`."""
    return str(path).encode("utf-8", "replace").decode("utf-8")


def resolved_path_text(path: Path) -> str:
    """Convert a path to the absolute text that identifies a video in summaries and failure logs."""
    return path_text(path.resolve())


def markdown_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right_from: int | None = None,
    padded: bool = False,
) -> str:
    """Format a Markdown table, without a final newline; columns from ``right_from`` on are right-aligned.

    ``padded`` makes the columns as wide as their longest cell, for terminals.
    """
    left = len(head) if right_from is None else right_from
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (head, *rows)]
    widths = [max(3, *map(len, column)) if padded else 3 for column in zip(*lines, strict=True)]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    if padded:
        formats = [f"{'<' if i < left else '>'}{width}" for i, width in enumerate(widths)]
        lines = [list(map(format, line, formats)) for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


def json_document(value: Any) -> str:
    """Format an indented JSON document with a final newline; NaN becomes null."""
    return json.dumps(_nan_to_none(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _nan_to_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _nan_to_none(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_nan_to_none(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
