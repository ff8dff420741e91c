from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import save_avs
from save_avs._text import escape_control_chars, escape_lines, print_traceback

BOUNDED = settings(max_examples=200, deadline=None, derandomize=True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;x\x07", r"\u001b]0;x\u0007"),
        ("a\nb\rc\td\be", r"a\nb\rc\td\u0008e"),
        ("\x9b31m\x7f", r"\u009b31m\u007f"),
        ("gpj.\u202ecod\u2066\u200f", r"gpj.\u202ecod\u2066\u200f"),
        ("caf\udce9\u2028", r"caf\udce9\u2028"),
        ("café 猫 👩\u200d🚀 \u0645\u06cc\u200c", "café 猫 👩\u200d🚀 \u0645\u06cc\u200c"),
    ],
)
def test_control_characters_are_escaped(text, shown):
    assert escape_control_chars(text) == shown


@BOUNDED
@given(st.text(st.characters(exclude_categories=[])))
def test_no_control_character_is_left(text):
    shown = escape_control_chars(text)
    assert len(shown.splitlines()) <= 1
    categories = {unicodedata.category(letter) for letter in shown}
    directions = {unicodedata.bidirectional(letter) for letter in shown}
    assert not categories & {"Cc", "Cs", "Zl", "Zp"}
    assert not directions & {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@BOUNDED
@given(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=[])), max_size=3), st.booleans())
def test_escaped_json_parses_to_the_same_value(document, ascii_only):
    assert json.loads(escape_lines(json.dumps(document, indent=1, ensure_ascii=ascii_only))) == document


def test_traceback_keeps_its_line_breaks(capfd):
    try:
        raise ValueError("a\x1b[2Jb")
    except ValueError as error:
        print_traceback(error)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback") and lines[-1] == r"ValueError: a\u001b[2Jb"


def test_cli_prints_only_in_console_and_progress():
    commands = Path(save_avs.__file__).parent / "cli"
    printing = re.compile(r"\becho\(|\bprint\(|std(?:out|err)\.write")
    found = {path.name for path in commands.glob("*.py") if printing.search(path.read_text("utf-8"))}
    assert found == {"_console.py", "_progress.py"}  # progress prints above its bar
