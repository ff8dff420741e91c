"""Text of strangers as it may be shown: nothing in it steers a terminal, or passes for another line."""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

# Controls (C0, delete, C1), what ends a line, what turns the direction of writing, halves that are no text
_STEERING = (
    *range(0x20),
    *range(0x7F, 0xA0),
    0x61C,
    *(0x200E, 0x200F),
    *range(0x2028, 0x202F),
    *range(0x2066, 0x206A),
    *range(0xD800, 0xE000),
)
# As JSON spells them, so that a document stays the same document.
_SPELLED = {code: f"\\u{code:04x}" for code in _STEERING} | {9: r"\t", 10: r"\n", 13: r"\r"}


def escape_control_chars(text: str) -> str:
    """One line of text that shows what is in it: control characters and the like are spelled out."""
    return text.translate(_SPELLED)


def escape_lines(text: str) -> str:
    """The same of each line of a text that was laid out in lines."""
    return "\n".join(map(escape_control_chars, text.split("\n")))


def print_traceback(error: BaseException) -> None:
    """Print on stderr where an error happened."""
    print(escape_lines("".join(traceback.format_exception(error))), end="", file=sys.stderr, flush=True)


def markdown_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, right_from: int | None = None
) -> str:
    """Format a Markdown table, without a final newline; columns from ``right_from`` on are right-aligned."""
    left = len(head) if right_from is None else right_from
    rule = ["---"] * left + ["--:"] * (len(head) - left)
    lines = [head, rule, *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def json_document(value: Any) -> str:
    """Format an indented JSON document with a final newline; NaN becomes null."""
    return json.dumps(_nan_to_none(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _nan_to_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _nan_to_none(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_nan_to_none(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
