"""Charts of the audio sensitivity report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from save_avs.inference.predictor import FrameModel
from save_avs.metrics.bootstrap_and_permutation import Estimate
from save_avs.types import U8, Bool
from save_avs.visualization.overlay import draw_mask
from save_avs.visualization.plots import GRID_COLOR, PALETTE, TEXT_COLOR, style_axes
from studies.audio_sensitivity import trials as conditions
from studies.audio_sensitivity.results import (
    LEVELED,
    SensitivityResults,
    by_class,
    mean_iou,
    mean_own_iou,
)
from studies.audio_sensitivity.scenes import MAX_DISTRACTORS
from studies.audio_sensitivity.tables import Results
from studies.audio_sensitivity.trials import SensitivityTrial, predict_masks
from studies.charts import error_lengths, label_x, new_figure
from studies.report import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AXES = {
    conditions.SHIFTED: ("Shifted sound", "shift, s"),
    conditions.MIXED: ("Mixed with an off-screen sound", "SNR, dB"),
    conditions.MIXED_NOISE: ("Mixed with noise", "SNR, dB"),
    conditions.DISTRACTORS: ("Silent objects added", "number of silent objects"),
}
_SHOWN = (
    (conditions.MATCHED, None),
    (conditions.IN_VIEW, None),
    (conditions.ABSENT, None),
    (conditions.OTHER_CLIP, None),
    (conditions.MIXED, 0.0),
    (conditions.MIXED_NOISE, 0.0),
    (conditions.MUTED, None),
)


@dataclass(frozen=True)
class SensitivityExample:
    """A frame with its mask under each sound: (description of the sound, mask)."""

    image: U8
    masks: tuple[tuple[str, Bool], ...]


def make_example(model: FrameModel, trials: Sequence[SensitivityTrial]) -> SensitivityExample | None:
    """Predict masks of one frame under several sounds; None if none of them is wrong."""
    shown = [
        trial
        for condition, level in _SHOWN
        for trial in trials
        if trial.condition == condition and level in {None, trial.level}
    ]
    present = {trial.condition for trial in shown}
    if conditions.MATCHED not in present or not present & {conditions.IN_VIEW, conditions.OTHER_CLIP}:
        return None
    masks = zip(map(_describe, shown), predict_masks(model, shown), strict=True)
    return SensitivityExample(trials[0].image, tuple(masks))


def _describe(trial: SensitivityTrial) -> str:
    if trial.condition in {conditions.MIXED, conditions.MIXED_NOISE}:
        return f"{trial.condition.removeprefix('mixed ')}, {trial.level:g} dB"
    name = {conditions.MATCHED: "own", conditions.IN_VIEW: "in view"}.get(trial.condition, trial.condition)
    return f"{name}: {trial.description}" if trial.description else name


def make_charts(
    models: Results, baselines: Results, examples: Sequence[SensitivityExample], *, seed: int
) -> list[Chart]:
    """Make all charts: examples, scores, levels, and classes of the first model."""
    charts = [_draw_examples(examples)] if examples else []
    charts += [_draw_scores({**models, **baselines}, seed), _draw_levels(models, seed)]
    name, first = next(iter(models.items()))
    return charts + ([_draw_classes(name, first)] if first.grouped(by_class) else [])


def _draw_examples(examples: Sequence[SensitivityExample]) -> Chart:
    """Draw a row per frame, a column per sound."""
    columns = max(len(example.masks) for example in examples)
    figure = new_figure(2.1 * columns, 2.35 * len(examples))
    for y, example in enumerate(examples):
        for x, (description, mask) in enumerate(example.masks):
            axes = figure.add_subplot(len(examples), columns, y * columns + x + 1)
            axes.imshow(draw_mask(example.image, mask))
            axes.set_title(description, fontsize=8, color=TEXT_COLOR, loc="left", pad=3)
            axes.set_axis_off()
    return Chart("examples", "Each row is one frame under several sounds; amber: the model's mask.", figure)


def _draw_scores(models: Results, seed: int) -> Chart:
    """Draw a bar per model and kind of wrong sound, with its interval."""
    wrong = next(iter(models.values())).wrong_sounds()
    figure = new_figure(7.2, 0.9 + 0.27 * len(models) * (len(wrong) + 1))
    axes = figure.add_subplot()
    style_axes(axes, "Listening score")
    for k, kind in enumerate(wrong):
        scores = [results.listening(kind, seed=seed) for results in models.values()]
        places = [i * (len(wrong) + 1) + k for i in range(len(models))]
        _draw_bars(axes, places, scores, PALETTE[k], f"wrong sound: {kind}")
    middle = [i * (len(wrong) + 1) + (len(wrong) - 1) / 2 for i in range(len(models))]
    axes.set_yticks(middle, labels=list(models))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, 1.08)
    label_x(axes, "0: ignores the sound; 1: never marks the object under a wrong sound")
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    return Chart("scores", "Listening scores with 95 % intervals over sources.", figure)


def _draw_levels(models: Results, seed: int) -> Chart:
    """Draw a panel per condition with levels: mIoU over the levels, a line per model."""
    present = [c for c in LEVELED if any(results.levels(c) for results in models.values())]
    figure = new_figure(3.4 * len(present), 2.8)
    first: Axes | None = None
    for x, condition in enumerate(present):
        axes = figure.add_subplot(1, len(present), x + 1, sharey=first)
        first = first or axes
        title, label = _AXES[condition]
        style_axes(axes, title)
        for color, (name, results) in zip(PALETTE, models.items(), strict=False):
            own = name if condition != conditions.SHIFTED else f"{name}: own source"
            _draw_line(axes, results, condition, mean_own_iou, seed, color=color, label=own)
            later = results.under(condition)
            if condition == conditions.SHIFTED and any(s.iou == s.iou for s in later):
                style = {"label": f"{name}: later source", "linestyle": "--"}
                _draw_line(axes, results, condition, mean_iou, seed, color=color, **style)
        label_x(axes, label)
        axes.set_ylim(0, 1)
        if condition in {conditions.MIXED, conditions.MIXED_NOISE}:
            axes.invert_xaxis()
        if condition == conditions.DISTRACTORS:
            axes.set_xticks(range(MAX_DISTRACTORS + 1))
        if x == 0 or condition == conditions.SHIFTED:
            axes.legend(fontsize=7, frameon=False)
    if first is not None:
        first.set_ylabel("mIoU", fontsize=8, color=TEXT_COLOR)
    caption = "mIoU as the sound is shifted or mixed with others, and as silent objects are added."
    return Chart("levels", caption, figure)


def _draw_classes(name: str, results: SensitivityResults) -> Chart:
    """Draw the mean IoU of each class under its own sound, and with the same pixels under a wrong one."""
    wrong = max(results.wrong_sounds(), key=lambda kind: len(results.under(kind)))
    rows = [
        (label, float(swaps.right.mean()), float(swaps.wrong.mean()))
        for label, part in results.grouped(by_class).items()
        if len(swaps := part.sound_swaps(wrong))
    ]
    rows.sort(key=lambda row: row[1])
    figure = new_figure(7.2, 0.9 + 0.16 * len(rows))
    axes = figure.add_subplot()
    style_axes(axes, f"{name}, by class")
    labels, own, swapped = zip(*rows, strict=True)
    places = range(len(rows))
    axes.hlines(places, swapped, own, color=GRID_COLOR, linewidth=2)
    wrong_label = f"wrong sound ({wrong}), same pixels"
    axes.scatter(swapped, places, s=16, zorder=3, color=PALETTE[1], label=wrong_label)
    axes.scatter(own, places, s=16, zorder=3, color=PALETTE[0], label="own sound")
    axes.set_yticks(places, labels=labels, fontsize=7)
    axes.set_ylim(-1, len(rows))
    axes.set_xlim(-0.02, 1)
    label_x(axes, "mIoU with the sounding pixels")
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    caption = "The longer the line of a class, the more its masks depend on the sound."
    return Chart("classes", caption, figure)


def _draw_bars(
    axes: Axes, places: Sequence[float], scores: Sequence[Estimate], color: str, label: str
) -> None:
    values = [score.value for score in scores]
    axes.barh(places, values, height=0.8, color=color, label=label)
    axes.errorbar(
        values, places, xerr=error_lengths(scores), fmt="none", ecolor=TEXT_COLOR, elinewidth=1, capsize=2
    )
    for place, score in zip(places, scores, strict=True):
        x = max(score.high, 0) + 0.01
        axes.text(x, place, f"{score.value:.2f}", va="center", fontsize=7, color=TEXT_COLOR)


def _draw_line(
    axes: Axes,
    results: SensitivityResults,
    condition: str,
    mean: Callable[..., Estimate],
    seed: int,
    *,
    color: str,
    **style: Any,
) -> None:
    levels = sorted(results.levels(condition))
    means = [mean(results.under(condition, level), seed=seed) for level in levels]
    style |= {"color": color, "marker": "o", "markersize": 3, "linewidth": 1.4}
    axes.plot(levels, [m.value for m in means], **style)
    low, high = [m.low for m in means], [m.high for m in means]
    axes.fill_between(levels, low, high, color=color, alpha=0.15, linewidth=0)
