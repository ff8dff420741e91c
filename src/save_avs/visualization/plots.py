"""How plots look, and how they become files: equal figures make equal bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEXT_COLOR, GRID_COLOR = "#2b2f36", "#d9dde3"
PALETTE = ("#1f6feb", "#e8590c", "#2b8a3e", "#9c36b5", "#c92a2a", "#0b7285")
_DPI = 160


def style_axes(axes: Axes, title: str) -> None:
    """A title on the left, a faint grid, two spines."""
    axes.set_title(title, loc="left", fontsize=10, color=TEXT_COLOR)
    axes.tick_params(colors=TEXT_COLOR, labelsize=8, length=3)
    axes.grid(color=GRID_COLOR, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID_COLOR)


def figure_to_svg(figure: Figure, name: str) -> str:
    """The figure as SVG; text stays text, which is small and sharp. ``name`` salts the ids in it."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    file = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
    return file.getvalue()


def figure_to_png(figure: Figure) -> bytes:
    """The figure as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    file = io.BytesIO()
    figure.set_dpi(_DPI)
    FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})
    return file.getvalue()
