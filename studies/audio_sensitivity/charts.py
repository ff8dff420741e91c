"""The pictures of a listening study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from save_avs.metrics.bootstrap import Estimate
from save_avs.visualization.overlay import draw_mask
from save_avs.visualization.plots import GRID_COLOR, PALETTE, TEXT_COLOR, style_axes
from studies.audio_sensitivity import trials as kinds
from studies.audio_sensitivity.examples import Example
from studies.audio_sensitivity.results import DEGREES, Results, by_class, listening, mean_heard, mean_own
from studies.audio_sensitivity.scenes import MOST_DISTRACTORS
from studies.audio_sensitivity.trials import Answer
from studies.report import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_AXES = {
    kinds.SHIFTED: ("With the sound of later", "how much later, s"),
    kinds.MIXED: ("Over a sound from off screen", "own sound over the other, dB"),
    kinds.MIXED_NOISE: ("Over noise", "own sound over the noise, dB"),
    kinds.DISTRACTORS: ("Beside silent things", "silent things added"),
}


def make_charts(
    models: Mapping[str, Results],
    trivial: Mapping[str, Results],
    examples: Sequence[Example],
    *,
    seed: int,
) -> list[Chart]:
    """Every picture: examples, scores, degrees, classes of the first model."""
    charts = [draw_examples(examples)] if examples else []
    charts += [draw_scores({**models, **trivial}, seed), draw_degrees(models, seed)]
    name, first = next(iter(models.items()))
    return charts + ([draw_classes(name, first)] if first.grouped(by_class) else [])


def draw_examples(examples: Sequence[Example]) -> Chart:
    """A row a picture, a column a sound."""
    columns = max(len(example.pictures) for example in examples)
    figure = _figure(2.1 * columns, 2.35 * len(examples))
    for y, example in enumerate(examples):
        for x, (said, mask) in enumerate(example.pictures):
            axes = figure.add_subplot(len(examples), columns, y * columns + x + 1)
            axes.imshow(draw_mask(example.picture, mask))
            axes.set_title(said, fontsize=8, color=TEXT_COLOR, loc="left", pad=3)
            axes.set_axis_off()
    caption = "A row is one picture under several sounds; amber: what the model marked."
    return Chart("examples", caption, figure)


def draw_scores(models: Mapping[str, Results], seed: int) -> Chart:
    """A bar a model and kind of wrong sound, with its interval."""
    wrong = next(iter(models.values())).wrong_sounds()
    figure = _figure(7.2, 0.9 + 0.27 * len(models) * (len(wrong) + 1))
    axes = figure.add_subplot()
    style_axes(axes, "Listening score")
    for k, kind in enumerate(wrong):
        scores = [listening(results, kind, seed=seed) for results in models.values()]
        places = [i * (len(wrong) + 1) + k for i in range(len(models))]
        _bars(axes, places, scores, PALETTE[k], f"wrong sound: {kind}")
    middle = [i * (len(wrong) + 1) + (len(wrong) - 1) / 2 for i in range(len(models))]
    axes.set_yticks(middle, labels=list(models))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, 1.08)
    axes.set_xlabel("0: deaf; 1: the object is left when its sound is gone", fontsize=8, color=TEXT_COLOR)
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    return Chart("scores", "Listening scores with 95 % intervals over sources.", figure)


def draw_degrees(models: Mapping[str, Results], seed: int) -> Chart:
    """A panel a condition that has degrees: the fit over them, a line a model."""
    tried = [c for c in DEGREES if any(r.levels(c) for r in models.values())]
    figure = _figure(3.4 * len(tried), 2.8)
    first: Axes | None = None
    for x, condition in enumerate(tried):
        axes = figure.add_subplot(1, len(tried), x + 1, sharey=first)
        first = first or axes
        title, unit = _AXES[condition]
        style_axes(axes, title)
        for color, (name, results) in zip(PALETTE, models.items(), strict=False):
            label = name if condition != kinds.SHIFTED else f"{name}: what sounds now"
            _line(axes, results, condition, mean_own, seed, color=color, label=label)
            later = results.under(condition)
            if condition == kinds.SHIFTED and any(a.heard == a.heard for a in later):
                label = f"{name}: what sounds later"
                _line(axes, results, condition, mean_heard, seed, color=color, label=label, linestyle="--")
        axes.set_xlabel(unit, fontsize=8, color=TEXT_COLOR)
        axes.set_ylim(0, 1)
        if condition in {kinds.MIXED, kinds.MIXED_NOISE}:
            axes.invert_xaxis()
        if condition == kinds.DISTRACTORS:
            axes.set_xticks(range(MOST_DISTRACTORS + 1))
        if x == 0 or condition == kinds.SHIFTED:
            axes.legend(fontsize=7, frameon=False)
    if first is not None:
        first.set_ylabel("mIoU", fontsize=8, color=TEXT_COLOR)
    caption = "How the fit goes as the sound is shifted or drowned, and as silent things are added."
    return Chart("degrees", caption, figure)


def draw_classes(name: str, results: Results) -> Chart:
    """Each class: the fit under its own sound, and what of it stays under a wrong one."""
    wrong = max(results.wrong_sounds(), key=lambda kind: len(results.under(kind)))
    rows = [
        (label, float(heard.right.mean()), float(heard.wrong.mean()))
        for label, part in results.grouped(by_class).items()
        if len(heard := part.hearings(wrong))
    ]
    rows.sort(key=lambda row: row[1])
    figure = _figure(7.2, 0.9 + 0.16 * len(rows))
    axes = figure.add_subplot()
    style_axes(axes, f"{name}, class by class")
    labels, own, kept = zip(*rows, strict=True)
    places = range(len(rows))
    axes.hlines(places, kept, own, color=GRID_COLOR, linewidth=2)
    axes.scatter(kept, places, s=16, zorder=3, color=PALETTE[1], label=f"same pixels, wrong sound ({wrong})")
    axes.scatter(own, places, s=16, zorder=3, color=PALETTE[0], label="own sound")
    axes.set_yticks(places, labels=labels, fontsize=7)
    axes.set_ylim(-1, len(rows))
    axes.set_xlim(-0.02, 1)
    axes.set_xlabel("mIoU with what sounds", fontsize=8, color=TEXT_COLOR)
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    caption = "The longer a line, the more the sound decides; a short one is a class marked anyway."
    return Chart("classes", caption, figure)


def _bars(axes: Axes, places: Sequence[float], scores: Sequence[Estimate], color: str, label: str) -> None:
    means = [score.value for score in scores]
    reach = [[s.value - s.low for s in scores], [s.high - s.value for s in scores]]
    axes.barh(places, means, height=0.8, color=color, label=label)
    axes.errorbar(means, places, xerr=reach, fmt="none", ecolor=TEXT_COLOR, elinewidth=1, capsize=2)
    for place, score in zip(places, scores, strict=True):
        axes.text(
            max(score.high, 0) + 0.01, place, f"{score.value:.2f}", va="center", fontsize=7, color=TEXT_COLOR
        )


def _line(
    axes: Axes,
    results: Results,
    condition: str,
    mean: Callable[..., Estimate],
    seed: int,
    *,
    color: str,
    **style: Any,
) -> None:
    levels = sorted(results.levels(condition))
    answers: list[tuple[Answer, ...]] = [results.under(condition, level) for level in levels]
    figures = [mean(part, seed=seed) for part in answers]
    style |= {"color": color, "marker": "o", "markersize": 3, "linewidth": 1.4}
    axes.plot(levels, [f.value for f in figures], **style)
    axes.fill_between(
        levels, [f.low for f in figures], [f.high for f in figures], color=color, alpha=0.15, linewidth=0
    )


def _figure(width: float, height: float) -> Drawing:
    from matplotlib.figure import Figure as Drawing

    return Drawing(figsize=(width, height), layout="constrained")
