"""The documents build as a site that asks no other host for anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.cli_runner import COMMANDS
from tests.support.docs.code_blocks import PAGES, ROOT

pytest.importorskip("material", reason="mkdocs-material is not installed")
pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed")

LOADED = re.compile(
    r'<(?:script|img|iframe|source|video)\b[^>]*\bsrc="([^"]+)"'
    r'|<link\b(?![^>]*rel="canonical")[^>]*\bhref="([^"]+)"'
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


def test_pages_load_no_file_from_another_host(site):
    pages = list(site.rglob("*.html"))
    assert pages
    for page in pages:
        loaded = ["".join(found) for found in LOADED.findall(page.read_text())]
        assert loaded and not [address for address in loaded if "//" in address], page
        assert 'data-md-component="source"' not in page.read_text(), "the theme's script asks the forge"
    sheets = [path.read_text() for path in site.rglob("*.css")]
    assert not any(re.search(r"url\([\"']?(?:https?:)?//", sheet) for sheet in sheets)


def test_every_document_is_a_page(site):
    for page in PAGES:
        name = page.removeprefix("docs/") if page.startswith("docs/") else page.lower()
        assert (site / name.replace("readme", "index")).with_suffix(".html").is_file()


def test_every_command_has_its_place(site):
    text = (site / "commands.html").read_text()
    for name in COMMANDS:
        assert f'id="{name.replace(" ", "-")}"' in text


def test_help_appears_as_it_is_written(site):
    text = (site / "commands.html").read_text()
    assert "DIR/&lt;stem&gt;/" in text and "<code>NAME|PATH" in text


def test_first_page_starts_with_the_install_line_and_the_moving_picture(site):
    text = (site / "index.html").read_text()
    hero = text[text.index('class="hero"') : text.index('class="grid cards"')]
    assert "git" in hero and "images/sample.webp" in hero
    assert (site / "images/sample.webp").is_file() and 'id="install"' in text


def test_links_out_of_the_documents_lead_to_files_of_the_site(site):
    api = (site / "guides/python.html").read_text()
    assert 'href="../files/examples/watch.py"' in api
    assert (site / "files/examples/watch.py").read_bytes() == (ROOT / "examples/watch.py").read_bytes()
