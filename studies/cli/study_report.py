"""Printing what a study found."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any

from save_avs._text import json_document as dumps
from save_avs._text import markdown_table
from save_avs.cli._console import print_block, print_line
from studies.export import as_json as document_of
from studies.export import shown
from studies.report import StudyReport


def print_report(
    report: StudyReport, folder: Path, *, as_json: bool, sheets: Container[str] | None = None, **more: Any
) -> None:
    """Print one JSON document, ``more`` in it; else the tables that ``sheets`` names, all where None."""
    if as_json:
        print_block(dumps({"folder": str(folder), **more, "report": document_of(report)}))
        return
    for sheet in report.sheets:
        if sheets is None or sheet.name in sheets:
            cells = [[shown(cell) for cell in row] for row in sheet.rows]
            print_block("\n".join([sheet.title, "", markdown_table(sheet.columns, cells), ""]))
    print_line(f"report: {folder / 'report.html'}")
