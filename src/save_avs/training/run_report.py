"""The report of a run: one HTML file with curves, metrics, images and record, made from its folder."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from save_avs._files import atomic_write
from save_avs.training.history import Curve, StageHistory, curve, read_history
from save_avs.training.recipe import load_recipe
from save_avs.training.run_record import RECIPE, read_sessions
from save_avs.visualization.plots import PALETTE, TEXT_COLOR, figure_to_svg, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPORT = "report.html"
LISTED = 20  # bad samples
LOSS, VALIDATION = "loss", "validation"
_PANEL, _COLUMNS = (4.2, 2.5), 3  # inches; panels per row
_HEADROOM = 1.1  # of an axis that begins at 0, over its highest value
_MACHINE = (  # column of a row, title, factor
    ("lr", "learning rate", 1.0),
    ("frames_per_s", "frames per second", 1.0),
    ("data_wait", "time waiting for data, %", 100.0),
    ("memory_gb", "memory, GB", 1.0),
)


def write_report(run_folder: str | Path) -> Path:
    """Write report.html into a run's folder, with all its stages up to now; returns its path."""
    folder = Path(run_folder)
    recipe = load_recipe(folder / RECIPE).model_copy(update={"out": folder})  # it may have been moved
    page = _render(
        run=folder.resolve().name,
        model=recipe.model.name,
        stages=[_section(read_history(recipe, stage)) for stage in recipe.stages],
        sessions=read_sessions(folder),
        recipe=(folder / RECIPE).read_text("utf-8"),
        listed=LISTED,
    )
    atomic_write(folder / REPORT, page)
    return folder / REPORT


def _section(history: StageHistory) -> dict[str, Any]:
    """Return the template's values for a stage."""
    curves, images = draw_curves(history), history.images
    started = history.training or history.validation
    return {
        "history": history,
        "state": "done" if history.finished else "in progress" if started else "not started",
        "curves": None if curves is None else _data_url("image/svg+xml", curves.encode()),
        "images": None if images is None else _data_url("image/png", images.read_bytes()),
    }


def draw_curves(history: StageHistory) -> str | None:
    """Draw panels over the steps as SVG: loss terms, metrics with the selected step, learning rate, machine.

    None for a stage without a row.
    """
    from matplotlib.figure import Figure

    panels = _panels(history)
    if not panels:
        return None
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(_COLUMNS * _PANEL[0], rows * _PANEL[1]), layout="constrained")
    for k, (title, curves) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, _COLUMNS, k + 1)
        _draw_panel(axes, title, curves)
        if title == VALIDATION:
            _mark_selected(axes, history)
        elif title != LOSS:
            axes.set_ylim(0, _HEADROOM * (axes.dataLim.ymax or 1))
    return figure_to_svg(figure, history.stage.name)


def _panels(history: StageHistory) -> dict[str, dict[str, Curve]]:
    """Return the curves that have points, by the title of their panel."""
    panels = {LOSS: history.loss_terms, VALIDATION: history.metrics}
    for name, title, factor in _MACHINE:
        steps, values = curve(history.training, name)
        panels[title] = {name: (steps, [factor * v for v in values])} if steps else {}
    return {title: curves for title, curves in panels.items() if curves}


def _draw_panel(axes: Axes, title: str, curves: Mapping[str, Curve]) -> None:
    for color, (name, (steps, values)) in zip(PALETTE * len(curves), curves.items(), strict=False):
        marker = "o" if len(steps) <= 12 else ""
        axes.plot(steps, values, color=color, linewidth=1.4, marker=marker, markersize=3, label=name)
    style_axes(axes, title)
    axes.set_xlabel("step", fontsize=8, color=TEXT_COLOR, loc="right", labelpad=1)
    if len(curves) > 1:
        axes.legend(fontsize=8, frameon=False)


def _mark_selected(axes: Axes, history: StageHistory) -> None:
    if history.selected is not None and history.stage.monitor is not None:
        step = history.selected["step"]
        axes.axvline(step, color=TEXT_COLOR, linewidth=0.8, linestyle="--")
        place = {"xycoords": ("data", "axes fraction"), "fontsize": 8, "color": TEXT_COLOR}
        axes.annotate(f" kept: {step:g}", (step, 0.02), **place)


def _render(**values: Any) -> str:
    """Fill the template; every value is escaped, style and images are embedded in the one file."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": "{:.4g}".format,
        "duration": lambda seconds: str(timedelta(seconds=round(seconds))),  # 1:02:03
    }
    folder = files("save_avs.training")
    page = environment.from_string(folder.joinpath("run_report.html.jinja").read_text("utf-8"))
    return page.render(style=folder.joinpath("run_report.css").read_text("utf-8"), **values)


def _data_url(mime_type: str, content: bytes) -> str:
    """Return an image as a ``data:`` URL."""
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"
