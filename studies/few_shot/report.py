"""Report of a few-shot study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from save_avs.evaluation.report import published_results
from save_avs.metrics.bootstrap_and_permutation import Difference
from save_avs.metrics.mask_metrics import METRIC_NAMES, MetricName
from save_avs.visualization.plots import PALETTE, style_axes
from studies.charts import error_lengths, label_x, new_figure
from studies.few_shot.methods import TITLES
from studies.few_shot.results import FewShotResults
from studies.report import Cell, Chart, StudyReport, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REFERENCE = "save"
_METRIC_TITLES = {"miou": "mIoU", "f": "F-score"}
_QUESTION = (
    "How well do SAVE and few-shot methods segment classes that were not in the training data, with no or "
    "a few examples?"
)
_TEXT = (
    "Zero shots: SAVE and GAVS's prompt as trained on the seen classes; ProtoNet and RelationNet compare "
    "with examples of all seen classes, as they have no others. With shots: SAVE (adapters and decoder) and "
    "GAVS's prompt are fine-tuned on the examples; ProtoNet and RelationNet compute prototypes of them, "
    "without training. All three baselines use the frozen encoders of the same SAVE, without injections, "
    "and were trained on frames of seen classes.",
    "mIoU: every frame counts once, at its target's size. Intervals are 95 % percentile bootstraps over "
    "{units}. Differences are paired, on the same frames; p is of a permutation test that swaps whole "
    "{units}, corrected by Holm for all comparisons of its table.",
)
_SCENE_TEXT = (
    "Episodes draw their frames from one pool, so the intervals cover other episodes, not other classes or "
    "another training."
)


def make_report(results: FewShotResults, *, data: str, setting: Mapping[str, str]) -> StudyReport:
    """Make the report; ``data`` is ``scenes`` or ``v3``."""
    on_scenes = data == "scenes"
    text = [part.format(units="episodes" if on_scenes else "source videos") for part in _TEXT]
    tables = [
        *(_score_table(results, metric) for metric in METRIC_NAMES),
        _difference_table("against_save", "mIoU, difference from SAVE", results.differences_from(REFERENCE)),
        _difference_table("gains", "mIoU, gain from the examples", results.gains()),
        _class_table(results),
        _time_table(results),
    ]
    if not on_scenes:
        tables.append(_published_table(results))
    chart = Chart("shots", "mIoU by number of examples, with 95 % intervals.", _draw_shots(results))
    return StudyReport(
        name="few-shot",
        title="Unseen classes after a few examples",
        question=_QUESTION,
        setting=setting,
        text=(*text, _SCENE_TEXT) if on_scenes else tuple(text),
        tables=tuple(table for table in tables if table.rows),
        charts=(chart,),
    )


def _shot_columns(results: FewShotResults) -> tuple[str, ...]:
    return tuple(f"{shots} shot" if shots == 1 else f"{shots} shots" for shots in results.shots)


def _score_table(results: FewShotResults, metric: MetricName) -> Table:
    rows = tuple(
        (TITLES[method], *(results.estimate(method, shots, metric) for shots in results.shots))
        for method in results.methods
    )
    return Table(metric, _METRIC_TITLES[metric], ("method", *_shot_columns(results)), rows)


def _difference_table(name: str, title: str, differences: Mapping[tuple[str, int], Difference]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (TITLES[method], shots, d.value, d.low, d.high, d.p) for (method, shots), d in differences.items()
    ]
    return Table(name, title, ("method", "shots", "difference", "low", "high", "p (Holm)"), tuple(rows))


def _class_table(results: FewShotResults) -> Table:
    found = results.by_class(results.shots[-1])
    rows = tuple((name, *(scores[m] for m in results.methods)) for name, scores in found.items())
    columns = ("class", *(TITLES[method] for method in results.methods))
    return Table("classes", f"mIoU by class, {_shot_columns(results)[-1]}", columns, rows)


def _time_table(results: FewShotResults) -> Table:
    rows = tuple(
        (TITLES[method], *(results.seconds(method, shots) for shots in results.shots))
        for method in results.methods
    )
    columns = ("method", *_shot_columns(results))
    return Table("seconds", "Seconds to adapt to the examples of a trial", columns, rows)


def _published_table(results: FewShotResults) -> Table:
    """Results of papers, with the official split files; a local tree may differ."""
    published: dict[str, dict[int, float]] = {}
    for shots in results.shots:
        for result in published_results("masks", f"v3-{shots}", "test"):
            published.setdefault(result.method, {})[shots] = result.miou / 100
    rows = tuple((name, *(scores.get(k) for k in results.shots)) for name, scores in published.items())
    return Table("published", "mIoU as published", ("method", *_shot_columns(results)), rows)


def _draw_shots(results: FewShotResults) -> Figure:
    figure = new_figure(5.6, 3.4)
    axes = figure.add_subplot()
    for color, method in zip(PALETTE, results.methods, strict=False):
        estimates = [results.estimate(method, shots) for shots in results.shots]
        axes.errorbar(
            results.shots,
            [estimate.value for estimate in estimates],
            yerr=error_lengths(estimates),
            color=color,
            marker="o",
            markersize=4,
            capsize=3,
            linewidth=1.4,
            label=TITLES[method],
        )
    style_axes(axes, "mIoU on unseen classes")
    axes.set_xticks(results.shots)
    axes.set_ylim(bottom=0)
    label_x(axes, "examples per class", loc="right", labelpad=1)
    axes.legend(fontsize=8, frameon=False)
    return figure
