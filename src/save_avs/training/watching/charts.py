"""The curves of a stage as one SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping

from matplotlib.axes import Axes

from save_avs.training.watching.history import Curve, History, curve

INK, FAINT = "#2b2f36", "#d9dde3"
COLOURS = ("#1f6feb", "#e8590c", "#2b8a3e", "#9c36b5", "#c92a2a", "#0b7285")
LOSS, VALIDATION = "loss", "validation"
_PANEL, _COLUMNS = (4.2, 2.5), 3  # inches; panels in a row
_ROOM = 1.1  # of an axis that begins at 0, over its highest value
# What the machine did: column of a row, title, factor
MACHINE = (
    ("lr", "learning rate", 1.0),
    ("frames_per_s", "frames a second", 1.0),
    ("data_wait", "time waiting for data, %", 100.0),
    ("memory_gb", "memory, GB", 1.0),
)


def draw_curves(history: History) -> str | None:
    """Panels over the steps: loss terms, validation figures with the chosen step, speed, memory.

    Returns:
        An SVG; None for a stage that has no row yet.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    panels = _panels(history)
    if not panels:
        return None
    rows = -(-len(panels) // _COLUMNS)
    # Text stays text, which is small and sharp; the salt makes equal figures equal files.
    with rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": history.stage.name, "font.family": "sans-serif"}
    ):
        figure = Figure(figsize=(_COLUMNS * _PANEL[0], rows * _PANEL[1]), layout="constrained")
        canvas = FigureCanvasSVG(figure)
        for k, (title, curves) in enumerate(panels.items()):
            axes = figure.add_subplot(rows, _COLUMNS, k + 1)
            _draw(axes, title, curves)
            if title == VALIDATION:
                _mark_chosen(axes, history)
            elif title != LOSS:
                axes.set_ylim(0, _ROOM * (axes.dataLim.ymax or 1))
        file = io.StringIO()
        canvas.print_svg(file, metadata={"Date": None})
    return file.getvalue()


def _panels(history: History) -> dict[str, dict[str, Curve]]:
    """What there is to draw, by its title."""
    panels = {LOSS: history.terms, VALIDATION: history.figures}
    for name, title, factor in MACHINE:
        steps, values = curve(history.training, name)
        panels[title] = {name: (steps, [factor * v for v in values])} if steps else {}
    return {title: curves for title, curves in panels.items() if curves}


def _draw(axes: Axes, title: str, curves: Mapping[str, Curve]) -> None:
    for colour, (name, (steps, values)) in zip(COLOURS * len(curves), curves.items(), strict=False):
        marker = "o" if len(steps) <= 12 else ""
        axes.plot(steps, values, color=colour, linewidth=1.4, marker=marker, markersize=3, label=name)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel("step", fontsize=8, color=INK, loc="right", labelpad=1)
    axes.tick_params(colors=INK, labelsize=8, length=3)
    axes.grid(color=FAINT, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    if len(curves) > 1:
        axes.legend(fontsize=8, frameon=False)


def _mark_chosen(axes: Axes, history: History) -> None:
    if history.chosen is not None and history.stage.chosen_by is not None:
        step = history.chosen["step"]
        axes.axvline(step, color=INK, linewidth=0.8, linestyle="--")
        place = {"xycoords": ("data", "axes fraction"), "fontsize": 8, "color": INK}
        axes.annotate(f" kept: {step:g}", (step, 0.02), **place)
