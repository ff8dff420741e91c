"""A study's pictures: what each variant reaches, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from save_avs.metrics.bootstrap import Difference, Estimate
from save_avs.visualization.plots import PALETTE, TEXT_COLOR, style_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_WIDTH, _HEAD, _BAR = 7.2, 0.9, 0.34  # inches: a picture, what is around the bars, a bar
_PALE = 0.55
_LINE: dict[str, Any] = {"color": TEXT_COLOR, "linewidth": 1.2, "capsize": 3}  # of an interval
_MARKERS = "osD^v"  # five and six colors: thirty variants that look different


def draw_quality(
    figures: Mapping[str, Estimate],
    differences: Mapping[str, Difference],
    runs: Mapping[str, Sequence[float]],
    reference: str,
) -> Drawing:
    """A bar a variant with its interval, a dot a run; beside it, how far it is from the reference."""
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(_WIDTH, _HEAD + _BAR * len(figures)), layout="constrained")
    reached, apart = drawing.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for place, (name, figure) in enumerate(figures.items()):
        alpha = 1.0 if name == reference else _PALE
        reached.barh(place, figure.value, height=0.66, color=PALETTE[0], alpha=alpha, linewidth=0)
        reached.errorbar(figure.value, place, xerr=_around(figure.value, figure), **_LINE)
        reached.plot(runs[name], [place] * len(runs[name]), "o", color=PALETTE[1], markersize=3.5)
        if difference := differences.get(name):
            around = _around(difference.value, difference)
            apart.errorbar(difference.value, place, xerr=around, fmt="o", markersize=4, **_LINE)
    apart.locator_params(axis="x", nbins=5)
    apart.axvline(0.0, color=PALETTE[0], linewidth=1.2)
    reached.set_yticks(range(len(figures)), list(figures))
    reached.invert_yaxis()
    for axes, title in ((reached, "mIoU"), (apart, f"less or more than {reference}")):
        style_axes(axes, title)
        axes.grid(visible=False, axis="y")
    return drawing


def _around(value: float, interval: Estimate | Difference) -> list[list[float]]:
    """An interval as lengths to its left and right."""
    return [[value - interval.low], [interval.high - value]]


def draw_costs(figures: Mapping[str, Estimate], costs: Mapping[str, Mapping[str, float]]) -> Drawing:
    """Quality over each kind of cost, a point a variant; kinds of cost beside each other."""
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(_WIDTH, 3.2), layout="constrained")
    for k, (title, values) in enumerate(costs.items()):
        axes = drawing.add_subplot(1, len(costs), k + 1)
        for n, (name, figure) in enumerate(figures.items()):
            if name in values:
                color, marker = PALETTE[n % len(PALETTE)], _MARKERS[n % len(_MARKERS)]
                axes.plot(
                    values[name], figure.value, marker, color=color, markersize=7, alpha=0.85, label=name
                )
        style_axes(axes, "mIoU")
        axes.set_xlabel(title, fontsize=8, color=TEXT_COLOR, loc="right", labelpad=1)
        axes.set_xlim(0, 1.1 * max(values.values(), default=0.0) or 1.0)
    handles, labels = drawing.axes[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside right upper", fontsize=7, frameon=False)
    return drawing
