"""The curves of a stage as one SVG."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

from save_avs.training.callbacks.history import Curve, StageHistory, curve
from save_avs.visualization.plots import PALETTE, TEXT_COLOR, figure_to_svg, style_axes

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


def draw_curves(history: StageHistory) -> str | None:
    """Panels over the steps: loss terms, validation figures with the chosen step, speed, memory.

    Returns:
        An SVG; None for a stage that has no row yet.
    """
    from matplotlib.figure import Figure

    panels = _panels(history)
    if not panels:
        return None
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(_COLUMNS * _PANEL[0], rows * _PANEL[1]), layout="constrained")
    for k, (title, curves) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, _COLUMNS, k + 1)
        _draw(axes, title, curves)
        if title == VALIDATION:
            _mark_chosen(axes, history)
        elif title != LOSS:
            axes.set_ylim(0, _ROOM * (axes.dataLim.ymax or 1))
    return figure_to_svg(figure, history.stage.name)


def _panels(history: StageHistory) -> dict[str, dict[str, Curve]]:
    """What there is to draw, by its title."""
    panels = {LOSS: history.terms, VALIDATION: history.figures}
    for name, title, factor in MACHINE:
        steps, values = curve(history.training, name)
        panels[title] = {name: (steps, [factor * v for v in values])} if steps else {}
    return {title: curves for title, curves in panels.items() if curves}


def _draw(axes: Axes, title: str, curves: Mapping[str, Curve]) -> None:
    for color, (name, (steps, values)) in zip(PALETTE * len(curves), curves.items(), strict=False):
        marker = "o" if len(steps) <= 12 else ""
        axes.plot(steps, values, color=color, linewidth=1.4, marker=marker, markersize=3, label=name)
    style_axes(axes, title)
    axes.set_xlabel("step", fontsize=8, color=TEXT_COLOR, loc="right", labelpad=1)
    if len(curves) > 1:
        axes.legend(fontsize=8, frameon=False)


def _mark_chosen(axes: Axes, history: StageHistory) -> None:
    if history.chosen is not None and history.stage.monitor is not None:
        step = history.chosen["step"]
        axes.axvline(step, color=TEXT_COLOR, linewidth=0.8, linestyle="--")
        place = {"xycoords": ("data", "axes fraction"), "fontsize": 8, "color": TEXT_COLOR}
        axes.annotate(f" kept: {step:g}", (step, 0.02), **place)
