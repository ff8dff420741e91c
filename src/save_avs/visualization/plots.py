"""Style of matplotlib plots, and reproducible SVG: equal figures give equal bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from save_avs._files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEXT_COLOR, GRID_COLOR = "#2b2f36", "#d9dde3"
PALETTE = ("#1f6feb", "#e8590c", "#2b8a3e", "#9c36b5", "#c92a2a", "#0b7285")


def style_axes(axes: Axes, title: str = "", *, grid: Literal["both", "x", "y"] = "both") -> None:
    """Set a title on the left, a light grid and two spines."""
    axes.set_title(title, loc="left", fontsize=10, color=TEXT_COLOR)
    axes.tick_params(colors=TEXT_COLOR, labelsize=8, length=3)
    axes.grid(axis=grid, color=GRID_COLOR, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID_COLOR)


def figure_to_svg(figure: Figure, name: str) -> str:
    """Return the figure as SVG, with text kept as text; ``name`` salts its element ids."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    file = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
    return file.getvalue()


def save_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure to an image file, atomically."""
    with atomic_path(path) as part:
        figure.savefig(part)
