"""The report of a run: one HTML file with curves, figures, pictures and the record, from its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from save_avs._files import atomic_write
from save_avs.training.callbacks.charts import draw_curves
from save_avs.training.callbacks.history import StageHistory, read_history
from save_avs.training.callbacks.record import RECIPE, read_sessions
from save_avs.training.recipe import load_recipe
from save_avs.visualization.html import data_url, render_html

REPORT = "report.html"
LISTED = 20  # bad samples that are named


def write_report(run_folder: str | Path) -> Path:
    """Write report.html into a run's folder, of all its stages as far as they have come; returns its path.

    Raises:
        UsageError: when the folder has no recipe.yaml, or one of another version.
    """
    folder = Path(run_folder)
    recipe = load_recipe(folder / RECIPE).model_copy(update={"out": folder})  # it may have been moved
    page = render_html(
        "save_avs.training.callbacks",
        "report.html.jinja",
        run=folder.resolve().name,
        model=recipe.model.name,
        stages=[_stage(read_history(recipe, stage)) for stage in recipe.stages],
        sessions=read_sessions(folder),
        recipe=(folder / RECIPE).read_text("utf-8"),
        listed=LISTED,
    )
    atomic_write(folder / REPORT, page)
    return folder / REPORT


def _stage(history: StageHistory) -> dict[str, Any]:
    """A stage as the page shows it."""
    curves, sheet = draw_curves(history), history.pictures
    return {
        "history": history,
        "state": _state(history),
        "curves": None if curves is None else data_url("image/svg+xml", curves.encode()),
        "pictures": None if sheet is None else data_url("image/png", sheet.read_bytes()),
    }


def _state(history: StageHistory) -> str:
    if history.finished:
        return "done"
    return "under way" if history.training or history.validation else "not begun"
