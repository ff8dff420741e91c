"""From findings to the report of the few-shot study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from save_avs.evaluation.reference_results import published_mask_results
from save_avs.metrics.bootstrap import Difference, Estimate
from save_avs.metrics.mask_metrics import METRIC_NAMES, MetricName
from save_avs.visualization.plots import PALETTE, TEXT_COLOR, style_axes
from studies.few_shot.findings import Findings
from studies.few_shot.methods import NAMES
from studies.report import Cell, Chart, Sheet, StudyReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

REFERENCE = "save"
TITLES = {"miou": "mIoU", "f": "F-score"}
QUESTION = (
    "How well are classes segmented whose sound and look training never met, without an example or with a "
    "few, by SAVE and by methods made for few examples?"
)
HOW = (
    "Zero shots: SAVE and GAVS's prompt as they were trained on the seen classes; ProtoNet and RelationNet "
    "compare with examples of all seen classes, for want of others. With shots: SAVE (adapters and decoder) "
    "and GAVS's prompt go on learning on the examples; ProtoNet and RelationNet keep their means in mind and "
    "learn nothing. All three baselines see the frozen encoders of the same SAVE, no sound injected, and "
    "were trained on frames of seen classes.",
    "mIoU: every frame once, at its truth's size. Intervals are 95 % percentile bootstraps over {units}. "
    "Differences are paired, on the same frames; p is of a permutation test that swaps whole {units}, "
    "corrected by Holm for all comparisons of its table.",
)
ON_SCENES = (
    "Episodes draw their frames from one pool, so the intervals tell of other episodes, not of other classes "
    "or of another training."
)


def summarize(findings: Findings, *, data: str, setting: Mapping[str, str]) -> StudyReport:
    """The report; ``data`` is ``scenes`` or ``v3``."""
    on_scenes = data == "scenes"
    text = [part.format(units="episodes" if on_scenes else "source videos") for part in HOW]
    sheets = [
        *(_scores(findings, measure) for measure in METRIC_NAMES),
        _differences("against-save", "mIoU beside SAVE's", findings.against(REFERENCE)),
        _differences("gains", "mIoU that the shots bring", findings.gains()),
        _classes(findings),
        _cost(findings),
        None if on_scenes else _published(findings),
    ]
    return StudyReport(
        name="few-shot",
        title="Classes never heard before, after a few examples",
        question=QUESTION,
        setting=setting,
        text=(*text, ON_SCENES) if on_scenes else tuple(text),
        sheets=tuple(sheet for sheet in sheets if sheet is not None and sheet.rows),
        charts=(Chart("shots", "mIoU over the number of examples, with 95 % intervals.", _draw(findings)),),
    )


def _counted(shots: int) -> str:
    return f"{shots} shot" if shots == 1 else f"{shots} shots"


def _scores(findings: Findings, measure: MetricName) -> Sheet:
    rows = tuple(
        (NAMES[method], *(findings.figure(method, shots, measure) for shots in findings.shots))
        for method in findings.methods
    )
    return Sheet(measure, TITLES[measure], ("method", *map(_counted, findings.shots)), rows)


def _differences(name: str, title: str, found: Mapping[tuple[str, int], Difference]) -> Sheet:
    rows: list[tuple[Cell, ...]] = [
        (NAMES[method], shots, d.value, d.low, d.high, d.p) for (method, shots), d in found.items()
    ]
    return Sheet(name, title, ("method", "shots", "difference", "low", "high", "p (Holm)"), tuple(rows))


def _classes(findings: Findings) -> Sheet:
    shots = findings.shots[-1]
    found = findings.by_class(shots)
    rows = tuple((name, *(scores[m] for m in findings.methods)) for name, scores in found.items())
    columns = ("class", *(NAMES[method] for method in findings.methods))
    return Sheet("classes", f"mIoU by class, {_counted(shots)}", columns, rows)


def _cost(findings: Findings) -> Sheet:
    rows = tuple(
        (NAMES[method], *(findings.seconds(method, shots) for shots in findings.shots))
        for method in findings.methods
    )
    columns = ("method", *map(_counted, findings.shots))
    return Sheet("cost", "Seconds to make use of the examples of a trial", columns, rows)


def _published(findings: Findings) -> Sheet:
    """What papers report, with the official split files; ours may be of other trees."""
    theirs: dict[str, dict[int, float]] = {}
    for shots in findings.shots:
        for paper in published_mask_results(f"v3-{shots}", "test"):
            theirs.setdefault(paper.method, {})[shots] = paper.miou / 100
    rows = tuple((name, *(scores.get(k) for k in findings.shots)) for name, scores in theirs.items())
    return Sheet("published", "mIoU as published", ("method", *map(_counted, findings.shots)), rows)


def _draw(findings: Findings) -> Drawing:
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(5.6, 3.4), layout="constrained")
    axes = drawing.add_subplot()
    for color, method in zip(PALETTE, findings.methods, strict=False):
        figures = [findings.figure(method, shots) for shots in findings.shots]
        axes.errorbar(
            findings.shots,
            [figure.value for figure in figures],
            yerr=_around(figures),
            color=color,
            marker="o",
            markersize=4,
            capsize=3,
            linewidth=1.4,
            label=NAMES[method],
        )
    style_axes(axes, "mIoU on unseen classes")
    axes.set_xticks(findings.shots)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("examples a class", fontsize=8, color=TEXT_COLOR, loc="right", labelpad=1)
    axes.legend(fontsize=8, frameon=False)
    return drawing


def _around(figures: list[Estimate]) -> list[list[float]]:
    return [[f.value - f.low for f in figures], [f.high - f.value for f in figures]]
