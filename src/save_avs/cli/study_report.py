"""Printing what a study found."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any

from save_avs.cli.talk import say, show
from save_avs.evaluation.benchmark_report import dumps
from save_avs.evaluation.tables import markdown_table
from save_avs.studies.documents import as_json as document_of
from save_avs.studies.documents import shown
from save_avs.studies.report import StudyReport


def print_report(
    report: StudyReport, folder: Path, *, as_json: bool, sheets: Container[str] | None = None, **more: Any
) -> None:
    """Print one JSON document, ``more`` in it; else the tables that ``sheets`` names, all where None."""
    if as_json:
        show(dumps({"folder": str(folder), **more, "report": document_of(report)}))
        return
    for sheet in report.sheets:
        if sheets is None or sheet.name in sheets:
            cells = [[shown(cell) for cell in row] for row in sheet.rows]
            show("\n".join([sheet.title, "", *markdown_table(sheet.columns, cells), ""]))
    say(f"report: {folder / 'report.html'}")
