"""Report of a study: Markdown with tables, PNG charts and CSV files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from save_avs._files import atomic_folder, atomic_write
from save_avs._text import markdown_table
from save_avs.metrics.bootstrap_and_permutation import Difference, Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPORT = "report.md"
_DPI = 160
Cell = str | int | float | Estimate | None


def _png(figure: Figure) -> bytes:
    """Return a figure as PNG: equal figures give equal bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return file.getvalue()


@dataclass(frozen=True)
class Table:
    """A table of a report.

    Attributes:
        name: of its CSV file.
        title: of its section.
        columns: their heads.
        rows: a cell for each column.

    Raises:
        ValueError: a row has too many or too few cells.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table {self.name}: each row must have {len(self.columns)} cells")

    def markdown(self) -> str:
        """Format the table, numbers rounded."""
        return markdown_table(self.columns, [[format_cell(cell) for cell in row] for row in self.rows])

    def csv(self) -> str:
        """Format the table with numbers in full; an estimate takes four columns."""
        is_estimate = [
            any(isinstance(row[k], Estimate) for row in self.rows) for k in range(len(self.columns))
        ]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        head: list[object] = []
        for column, wide in zip(self.columns, is_estimate, strict=True):
            head += (column, f"{column} low", f"{column} high", f"{column} count") if wide else (column,)
        writer.writerow(head)
        for row in self.rows:
            values: list[object] = []
            for cell, wide in zip(row, is_estimate, strict=True):
                if isinstance(cell, Estimate):
                    values += (cell.value, cell.low, cell.high, cell.count)
                else:
                    values += (cell, None, None, None) if wide else (cell,)
            writer.writerow(values)
        return text.getvalue()


@dataclass(frozen=True)
class Chart:
    """A figure of a report: ``name`` is that of its PNG file."""

    name: str
    caption: str
    figure: Figure


@dataclass(frozen=True, kw_only=True)
class StudyReport:
    """Result of a study.

    Attributes:
        name: of the study.
        title: of the page.
        question: that the study answers, in a sentence.
        setting: what is needed to reproduce it: command, machine, versions, seeds, budget.
        text: paragraphs before the tables.
        tables: the most important first.
        charts: figures.
    """

    name: str
    title: str
    question: str
    setting: Mapping[str, str]
    text: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = field(default=())

    def markdown(self) -> str:
        """Format the report; images are linked as ``images/NAME.png``."""
        parts = [f"# {self.title}", self.question, *self.text]
        for table in self.tables:
            parts += [f"## {table.title}", table.markdown()]
        for chart in self.charts:
            parts += [f"![{chart.caption}](images/{chart.name}.png)", chart.caption]
        parts += ["## Setting", "\n".join(f"* {key}: {value}" for key, value in self.setting.items())]
        return "\n\n".join(parts) + "\n"

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write report.md with images/ and a CSV file for each table, atomically.

        Raises:
            UsageError: the folder exists, and ``overwrite`` is not given.
        """
        folder = Path(folder)
        with atomic_folder(folder, overwrite=overwrite) as part:
            atomic_write(part / REPORT, self.markdown())
            for table in self.tables:
                atomic_write(part / f"{table.name}.csv", table.csv())
            for chart in self.charts:
                atomic_write(part / "images" / f"{chart.name}.png", _png(chart.figure))
        return folder


def format_cell(cell: Cell) -> str:
    """Format a cell: three decimals below ten, a dash for a missing value."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, Estimate):
        return "–" if math.isnan(cell.value) else str(cell)
    if isinstance(cell, float):
        return f"{cell:.3f}" if abs(cell) < 10 else f"{cell:,.1f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def difference_cell(difference: Difference | None, count: int) -> Estimate | None:
    """A difference with its interval, without its p value, as a cell."""
    return None if difference is None else Estimate(difference.value, difference.low, difference.high, count)
