"""A study's report as HTML, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from save_avs._text import markdown_table
from save_avs.metrics.bootstrap import Estimate
from save_avs.visualization.html import data_url, render_html
from save_avs.visualization.plots import figure_to_svg

if TYPE_CHECKING:
    from studies.report import Cell, Sheet, StudyReport

VERSION = 1


def as_markdown(report: StudyReport) -> str:
    """Question, text, tables, linked pictures, setting."""
    parts = [f"# {report.title}", report.question, *report.text]
    for sheet in report.sheets:
        rows = [[shown(cell) for cell in row] for row in sheet.rows]
        parts += [f"## {sheet.title}", markdown_table(sheet.columns, rows)]
    for chart in report.charts:
        parts += [f"![{chart.caption}](pictures/{chart.name}.png)", chart.caption]
    parts += ["## Setting", "\n".join(f"* {key}: {value}" for key, value in report.setting.items())]
    return "\n\n".join(parts) + "\n"


def as_html(report: StudyReport) -> str:
    """One file, its pictures in it."""
    pictures = [
        (chart.caption, data_url("image/svg+xml", figure_to_svg(chart.figure, chart.name).encode()))
        for chart in report.charts
    ]
    return render_html(
        "studies",
        "report.html.jinja",
        report=report,
        pictures=pictures,
        shown=shown,
        is_text=_is_text,
    )


def as_csv(sheet: Sheet) -> str:
    """Numbers in full; a mean with its interval takes four columns."""
    wide = [any(isinstance(row[i], Estimate) for row in sheet.rows) for i in range(len(sheet.columns))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_head(sheet, wide))
    for row in sheet.rows:
        writer.writerow([value for cell, of in zip(row, wide, strict=True) for value in _values(cell, of)])
    return text.getvalue()


def as_json(report: StudyReport) -> dict[str, Any]:
    """Everything but the pictures, NaN as None; a mean with its interval is an object."""
    return {
        "version": VERSION,
        "name": report.name,
        "title": report.title,
        "question": report.question,
        "setting": dict(report.setting),
        "text": report.text,
        "sheets": {sheet.name: _sheet(sheet) for sheet in report.sheets},
        "charts": {chart.name: chart.caption for chart in report.charts},
    }


def shown(cell: Cell) -> str:
    """A cell for the eye: three decimals below ten, a dash for none."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, Estimate):
        return "–" if math.isnan(cell.value) else str(cell)
    if isinstance(cell, float):
        return f"{cell:.3f}" if abs(cell) < 10 else f"{cell:,.1f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _is_text(cell: Cell) -> bool:
    return isinstance(cell, str)


def _sheet(sheet: Sheet) -> dict[str, Any]:
    rows = [
        {
            column: asdict(cell) if isinstance(cell, Estimate) else cell
            for column, cell in zip(sheet.columns, row, strict=True)
        }
        for row in sheet.rows
    ]
    return {"title": sheet.title, "rows": rows}


def _head(sheet: Sheet, wide: list[bool]) -> Iterator[str]:
    for column, of_figure in zip(sheet.columns, wide, strict=True):
        yield from (column, f"{column} low", f"{column} high", f"{column} count") if of_figure else (column,)


def _values(cell: Cell, wide: bool) -> tuple[object, ...]:
    if isinstance(cell, Estimate):
        return cell.value, cell.low, cell.high, cell.count
    return (cell, None, None, None) if wide else (cell,)
