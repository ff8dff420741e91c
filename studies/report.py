"""The report of a study: what was asked, in which setting, tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from save_avs._files import atomic_folder, atomic_write
from save_avs._text import json_document as dumps
from save_avs.metrics.bootstrap import Estimate
from save_avs.visualization.plots import figure_to_png
from studies.export import as_csv, as_html, as_json, as_markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

Cell = str | int | float | Estimate | None


@dataclass(frozen=True)
class Sheet:
    """A table: ``name`` is its file's, ``title`` stands over it, every row has a cell a column."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"sheet {self.name}: a row must have {len(self.columns)} cells")


@dataclass(frozen=True)
class Chart:
    """A picture: ``name`` is its file's, ``caption`` stands under it."""

    name: str
    caption: str
    figure: Drawing


@dataclass(frozen=True, kw_only=True)
class StudyReport:
    """What a study found.

    Attributes:
        name: of the study.
        title: over the page.
        question: that it answers, in a sentence.
        setting: machine, versions, seeds, budget, command: what one needs to know to do it again.
        text: paragraphs before the tables.
        sheets: tables, the most important first.
        charts: pictures.
    """

    name: str
    title: str
    question: str
    setting: Mapping[str, str]
    text: tuple[str, ...] = ()
    sheets: tuple[Sheet, ...] = ()
    charts: tuple[Chart, ...] = field(default=())

    def markdown(self) -> str:
        """All but the pictures themselves, which it links as ``pictures/NAME.png``."""
        return as_markdown(self)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write report.html, report.md with pictures/, a CSV file a sheet and report.json; all or nothing.

        Raises:
            UsageError: the folder exists, and ``overwrite`` is not given.
        """
        folder = Path(folder)
        with atomic_folder(folder, overwrite=overwrite) as part:
            atomic_write(part / "report.html", as_html(self))
            atomic_write(part / "report.md", self.markdown())
            atomic_write(part / "report.json", dumps(as_json(self)))
            for sheet in self.sheets:
                atomic_write(part / f"{sheet.name}.csv", as_csv(sheet))
            for chart in self.charts:
                atomic_write(part / "pictures" / f"{chart.name}.png", figure_to_png(chart.figure))
        return folder
