"""A study's pictures: what each variant reaches, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from save_avs.evaluation.statistics import Figure
from save_avs.render.plots import COLOURS, INK, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_WIDTH, _HEAD, _BAR = 7.2, 0.9, 0.34  # inches: a picture, what is around the bars, a bar
_PALE = 0.55
_MARKERS = "osD^v"  # five and six colours: thirty variants that look different


def draw_bars(figures: Mapping[str, Figure], runs: Mapping[str, Sequence[float]], reference: str) -> Drawing:
    """A bar a variant with its interval, a dot a run."""
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(_WIDTH, _HEAD + _BAR * len(figures)), layout="constrained")
    axes = drawing.add_subplot()
    for place, (name, figure) in enumerate(figures.items()):
        around = [[figure.mean - figure.low], [figure.high - figure.mean]]
        alpha = 1.0 if name == reference else _PALE
        axes.barh(place, figure.mean, height=0.66, color=COLOURS[0], alpha=alpha, linewidth=0)
        axes.errorbar(figure.mean, place, xerr=around, color=INK, linewidth=1.2, capsize=3)
        axes.plot(runs[name], [place] * len(runs[name]), "o", color=COLOURS[1], markersize=3.5)
    axes.set_yticks(range(len(figures)), list(figures))
    axes.invert_yaxis()
    axes.set_xlabel("mIoU", fontsize=8, color=INK, loc="right", labelpad=1)
    tidy(axes, "mIoU")
    axes.grid(visible=False, axis="y")
    return drawing


def draw_costs(figures: Mapping[str, Figure], costs: Mapping[str, Mapping[str, float]]) -> Drawing:
    """Quality over each kind of cost, a point a variant; kinds of cost beside each other."""
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(_WIDTH, 3.2), layout="constrained")
    for k, (title, values) in enumerate(costs.items()):
        axes = drawing.add_subplot(1, len(costs), k + 1)
        for n, (name, figure) in enumerate(figures.items()):
            if name in values:
                around = [[figure.mean - figure.low], [figure.high - figure.mean]]
                look: dict[str, Any] = {
                    "color": COLOURS[n % len(COLOURS)],
                    "marker": _MARKERS[n % len(_MARKERS)],
                }
                axes.errorbar(values[name], figure.mean, around, linestyle="", capsize=2, label=name, **look)
        tidy(axes, "mIoU")
        axes.set_xlabel(title, fontsize=8, color=INK, loc="right", labelpad=1)
        axes.set_xlim(0, 1.1 * max(values.values(), default=0.0) or 1.0)
    handles, labels = drawing.axes[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside right upper", fontsize=7, frameon=False)
    return drawing
