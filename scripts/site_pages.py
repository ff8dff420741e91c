"""MkDocs hook: pages of the site from outside docs/, and links to files outside it.

README.md and other files in the repository's root become pages, and so does the help of every command. Other
files that pages link to are served unchanged under files/.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from save_avs.cli import make_program
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
HOME = Path(__file__).with_name("site_home.md")  # in place of what README.md has above "Install"

_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/ and the files that pages link to."""
    for source, page in PAGES.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        if page == "index.md":
            content = HOME.read_text("utf-8") + content[content.index("\n## Install") :]
        files.append(File.generated(config, page, content=content))
    files.append(File.generated(config, COMMANDS, content=command_page()))
    linked = {path for file in files.documentation_pages() for path in _linked_files(file)}
    for path in sorted(linked):
        files.append(File.generated(config, f"files/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point the page's links to where the site has their targets."""
    source = page.file.src_uri
    if source == "index.md":
        page.meta["hide"] = ["navigation", "toc"]

    def rewrite(link: re.Match[str]) -> str:
        path = _resolve(source, link[2])
        target = None if path is None else _site_path(path)
        if target is None:
            return link[0]
        return f"{link[1]}{posixpath.relpath(target, posixpath.dirname(source) or '.')}{link[3] or ''})"

    return _LINK.sub(rewrite, markdown)


def _linked_files(file: File) -> Iterator[str]:
    """Yield the files of the repository that a page links to and that are neither in docs/ nor a page."""
    for link in _LINK.finditer(file.content_string):
        path = _resolve(file.src_uri, link[2])
        if path and path not in PAGES and not path.startswith(DOCS):
            yield path


def _resolve(page: str, link: str) -> str | None:
    """Return the file of the repository that a link on a page points to; None where it is not one."""
    if "://" in link or page == COMMANDS:
        return None
    source = SOURCES.get(page, DOCS + page)
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    return path if (ROOT / path).is_file() else None


def _site_path(path: str) -> str:
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix(DOCS) if path.startswith(DOCS) else f"files/{path}"


def command_page() -> str:
    """Format the help of every command: arguments, options and examples."""
    program = typer.main.get_command(make_program())
    sections = (_section(words, command) for words, command in iter_commands(program))
    return "\n".join(
        ["# Command line\n\nThe output of `save-avs COMMAND --help` for every command.\n", *sections]
    )


def _section(words: str, command: Any) -> str:
    rows = [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    table = ["| | | default |", "|---|---|---|", *rows]
    paragraphs = map(_paragraph, (command.help or "").split("\n\n"))
    options = '<div class="options" markdown>\n\n' + "\n".join(table) + "\n\n</div>"
    return "\n\n".join([f"## {words}", *paragraphs, options]) + "\n"


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
    text = escape(getattr(parameter, "help", None) or "", quote=False).replace("|", "&#124;")
    return f"| {name}{value} | {text} | {shown} |"
