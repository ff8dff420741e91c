"""Text of strangers as it may be shown: nothing in it steers a terminal, or passes for another line."""

from __future__ import annotations

import sys
import traceback

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
