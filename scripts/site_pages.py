"""MkDocs hook: pages of the site that do not lie in docs/, and links that lead out of it.

README.md and the other pages beside docs/ become pages of it; so does what --help says of every command.
Other files that pages link to are served below files/, as they are.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from save_avs.cli import app
from save_avs.cli._console import iter_commands

ROOT = Path(__file__).parents[1]
DOCS = "docs/"
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
SOURCES = {page: source for source, page in PAGES.items()}
COMMANDS = "commands.md"

_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and the files that pages link to."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    files.append(File.generated(config, COMMANDS, content=command_page()))
    linked = {place for file in files.documentation_pages() for place in _outside(file)}
    for place in sorted(linked):
        files.append(File.generated(config, f"files/{place}", abs_src_path=str(ROOT / place)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead the page's links to where the site has what they name."""
    here = page.file.src_uri

    def moved(link: re.Match[str]) -> str:
        place = _place(here, link[2])
        target = None if place is None else _on_site(place)
        if target is None:
            return link[0]
        return f"{link[1]}{posixpath.relpath(target, posixpath.dirname(here) or '.')}{link[3] or ''})"

    return _LINK.sub(moved, markdown)


def _outside(file: File) -> Iterator[str]:
    """What a page links to of the repository that is neither in docs/ nor a page."""
    for link in _LINK.finditer(file.content_string):
        place = _place(file.src_uri, link[2])
        if place and place not in PAGES and not place.startswith(DOCS):
            yield place


def _place(page: str, link: str) -> str | None:
    """The file of the repository that a link of a page names; None where it names none."""
    if "://" in link or page == COMMANDS:
        return None
    source = SOURCES.get(page, DOCS + page)
    place = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    return place if (ROOT / place).is_file() else None


def _on_site(place: str) -> str:
    if place in PAGES:
        return PAGES[place]
    return place.removeprefix(DOCS) if place.startswith(DOCS) else f"files/{place}"


def command_page() -> str:
    """Every command with its arguments, options and examples, as --help says them."""
    sections = (_section(words, command) for words, command in iter_commands(typer.main.get_command(app)))
    return "\n".join(["# Command line\n\nWhat `save-avs COMMAND --help` says, on one page.\n", *sections])


def _section(words: str, command: Any) -> str:
    rows = [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    table = ["| | | default |", "|---|---|---|", *rows]
    paragraphs = map(_paragraph, (command.help or "").split("\n\n"))
    return "\n\n".join([f"## {words}", *paragraphs, "\n".join(table)]) + "\n"


def _paragraph(text: str) -> str:
    """Format a paragraph of help as Markdown; examples and tables, which start with \\b, as code."""
    if not text.startswith("\b"):
        return text
    lines = [line.removeprefix("  ") for line in text.removeprefix("\b").strip("\n").splitlines()]
    is_examples = lines[0] in ("Example:", "Examples:") or "save-avs " in lines[0]
    lines = lines[1:] if lines[0].startswith("Example") else lines
    return "\n".join([f"```{'sh' if is_examples else 'text'}", *lines, "```"])


def _row(parameter: Any) -> str:
    names = [f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("-")]
    value = parameter.metavar or ("" if names else parameter.name.upper())
    name = ", ".join(names) or f"`{value}`"
    default = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    shown = "" if default in (None, False, (), "") or callable(default) else f"`{default}`"
    value = f" `{value}`" if names and value else ""
    cells = (name + value, getattr(parameter, "help", None) or "", shown)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
