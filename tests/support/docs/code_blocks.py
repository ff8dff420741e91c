"""The shell commands that README.md and docs/ show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))]
PROGRAM = ("save-avs", ".venv/bin/save-avs")
RUNNABLE = re.compile(r"(?:\.venv/bin/)?(?:save-avs|torchrun|curl|python3?)\s")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"(?:^|\s+)#\s.*$", re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_ASSIGNMENT = re.compile(r"[A-Z_]+=")


@dataclass(frozen=True)
class Command:
    """One command line of a page, without its comment.

    Attributes:
        page: relative to the repository.
        line: in the page, from 1.
        text: the command; lines continued with a backslash are one.
        opening: the first command of its block.
    """

    page: str
    line: int
    text: str
    opening: str = ""

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.page}:{self.line}: {self.text}"

    @property
    def tokens(self) -> list[str]:
        """As a shell splits it; operators are words of their own."""
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        return list(lexer)

    @property
    def environment(self) -> dict[str, str]:
        """What is set before the program's name."""
        return dict(word.split("=", 1) for word in self._leading())

    @property
    def words(self) -> list[str]:
        """The program and its arguments, up to a redirection or a pipe."""
        words = self.tokens[len(self._leading()) :]
        ends = [k for k, word in enumerate(words) if set(word) <= set("|&;<>")]
        return words[: ends[0]] if ends else words

    @property
    def output(self) -> Path | None:
        """Where standard output is sent by ``>``."""
        tokens = self.tokens
        return Path(tokens[tokens.index(">") + 1]) if ">" in tokens else None

    @property
    def arguments(self) -> list[str] | None:
        """What save-avs is called with; None where another program is called."""
        if self.words and self.words[0] in PROGRAM:
            return self.words[1:]
        if "save_avs" in self.words:  # torchrun ... -m save_avs ...
            return self.words[self.words.index("save_avs") + 1 :]
        return None

    def _leading(self) -> list[str]:
        found = []
        for word in self.tokens:
            if not _ASSIGNMENT.match(word):
                break
            found.append(word)
        return found


def fences(page: str) -> Iterator[tuple[int, str, str]]:
    """Line, language and text of each fenced block."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        yield text.count("\n", 0, found.start(2)) + 1, found[1], found[2]


def commands(page: str) -> list[Command]:
    """The command lines of a page's shell blocks, in order."""
    return [
        command
        for line, language, text in fences(page)
        if language == "sh"
        for command in _lines(page, line, text)
    ]


def _lines(page: str, first: int, text: str) -> Iterator[Command]:
    held, start, opening = "", first, ""
    for number, line in enumerate(_COMMENT.sub("", text).splitlines(), first):
        held, start = (held + line.strip(), start) if held else (line.strip(), number)
        if held.endswith("\\"):
            held = held[:-1]
        elif held:
            opening = opening or held
            yield Command(page, start, held, opening)
            held = ""


def mentions(page: str) -> list[Command]:
    """Calls of save-avs within sentences and tables."""
    text = (ROOT / page).read_text(encoding="utf-8")
    prose = _FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
    return [
        Command(page, prose.count("\n", 0, found.start()) + 1, found[1])
        for found in _INLINE.finditer(prose)
        if found[1].startswith("save-avs ")
    ]
