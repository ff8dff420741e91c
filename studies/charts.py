"""Charts of grid studies, and helpers for the charts of all studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from save_avs.metrics.bootstrap_and_permutation import Difference, Estimate
from save_avs.visualization.plots import PALETTE, TEXT_COLOR, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _MARGIN, _BAR = 7.2, 0.9, 0.34  # inches: a figure, the space around the bars, a bar
_PALE = 0.55  # opacity of variants other than the reference
_INTERVAL: dict[str, Any] = {"color": TEXT_COLOR, "linewidth": 1.2, "capsize": 3}
_MARKERS = "osD^v"  # with six colors: thirty variants that look different


def new_figure(width: float, height: float) -> Figure:
    """Make a figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def error_lengths(estimates: Sequence[Estimate | Difference]) -> list[list[float]]:
    """Return the lengths of intervals below and above their values, [2,N], as matplotlib takes them."""
    return [[e.value - e.low for e in estimates], [e.high - e.value for e in estimates]]


def label_x(axes: Axes, label: str, **style: Any) -> None:
    """Set the label of the horizontal axis."""
    axes.set_xlabel(label, fontsize=8, color=TEXT_COLOR, **style)


def draw_quality(
    miou: Mapping[str, Estimate],
    differences: Mapping[str, Difference],
    runs: Mapping[str, Sequence[float]],
    reference: str,
) -> Figure:
    """Draw a bar per variant with its interval, a dot per run, and the difference from the reference."""
    figure = new_figure(_WIDTH, _MARGIN + _BAR * len(miou))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for y, (name, estimate) in enumerate(miou.items()):
        alpha = 1.0 if name == reference else _PALE
        left.barh(y, estimate.value, height=0.66, color=PALETTE[0], alpha=alpha, linewidth=0)
        left.errorbar(estimate.value, y, xerr=error_lengths([estimate]), **_INTERVAL)
        left.plot(runs[name], [y] * len(runs[name]), "o", color=PALETTE[1], markersize=3.5)
        if difference := differences.get(name):
            lengths = error_lengths([difference])
            right.errorbar(difference.value, y, xerr=lengths, fmt="o", markersize=4, **_INTERVAL)
    right.locator_params(axis="x", nbins=5)
    right.axvline(0.0, color=PALETTE[0], linewidth=1.2)
    left.set_yticks(range(len(miou)), list(miou))
    left.invert_yaxis()
    for axes, title in ((left, "mIoU"), (right, f"difference from {reference}")):
        style_axes(axes, title)
        axes.grid(visible=False, axis="y")
    return figure


def draw_costs(miou: Mapping[str, Estimate], costs: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw quality over each kind of cost, a point per variant."""
    figure = new_figure(_WIDTH, 3.2)
    for k, (title, values) in enumerate(costs.items()):
        axes = figure.add_subplot(1, len(costs), k + 1)
        for n, (name, estimate) in enumerate(miou.items()):
            if name in values:
                style: dict[str, Any] = {
                    "color": PALETTE[n % len(PALETTE)],
                    "marker": _MARKERS[n % len(_MARKERS)],
                }
                axes.plot(
                    values[name], estimate.value, **style, linestyle="", markersize=7, alpha=0.85, label=name
                )
        style_axes(axes, "mIoU")
        label_x(axes, title, loc="right", labelpad=1)
        axes.set_xlim(0, 1.1 * max(values.values(), default=0.0) or 1.0)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=7, frameon=False)
    return figure
