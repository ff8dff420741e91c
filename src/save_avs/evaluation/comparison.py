"""Two models on the same clips: differences, their confidence intervals, and a paired test."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from save_avs._text import markdown_table
from save_avs.evaluation.report import BenchmarkReport, percent
from save_avs.metrics.bootstrap_and_permutation import (
    PERMUTATIONS,
    Difference,
    Scorer,
    draw_clusters,
    paired_difference,
)
from save_avs.metrics.mask_metrics import METRIC_NAMES, MetricName, score_clips
from save_avs.metrics.semantic_scores import CLASS_SUBSETS, score_semantic

_METRIC_TITLES = {"miou": "mIoU", "f": "F"}


@dataclass(frozen=True)
class ComparedScore:
    """One score of both models, each in 0..1."""

    protocol: str
    metric: MetricName
    first: float
    second: float
    difference: Difference


@dataclass(frozen=True)
class Comparison:
    """Scores of the second model relative to the first."""

    # first, second: names of the models
    first: str
    second: str
    clips: int  # clips that both were scored on
    sources: int  # videos that these were cut from
    rows: tuple[ComparedScore, ...]  # one for each protocol and metric; label maps as ``labels (SUBSET)``

    def table(self) -> str:
        """Format differences, intervals and p values as Markdown, scores in percent."""
        rows = [
            (
                f"`{row.protocol}`",
                _METRIC_TITLES[row.metric],
                percent(row.first),
                percent(row.second),
                _percent_difference(row.difference),
                _p_value(row.difference.p),
            )
            for row in self.rows
        ]
        head = ("protocol", "score", self.first, self.second, "difference [95 %]", "p")
        return (
            f"{self.second} against {self.first}, on the same {self.clips} clips of {self.sources} source "
            f"videos; a positive difference favors {self.second}.\n\n{markdown_table(head, rows)}\n\n"
            "p: two-sided paired permutation test that swaps predictions source by source; each p is of its "
            "row alone, not corrected for the number of rows.\n"
        )

    def as_json(self) -> dict[str, Any]:
        """Return all rows as plain values, scores in 0..1."""
        return asdict(self)


def _percent_difference(difference: Difference) -> str:
    if math.isnan(difference.value):
        return "–"
    text = f"{100 * difference.value:+.1f}"
    if math.isnan(difference.low):
        return text
    return f"{text} [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"


def _p_value(p: float) -> str:
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def compare(
    first: BenchmarkReport,
    second: BenchmarkReport,
    *,
    names: tuple[str, str] | None = None,
    permutations: int = PERMUTATIONS,
) -> Comparison:
    """Compare two reports on the same clips, protocol by protocol, by `paired_difference`.

    Clips are drawn and swapped together with all others of their source video, with the first report's seed.
    In the table both have their models' names, or ``names``. A ValueError if they are of different clips or
    protocols.
    """
    ours, theirs = first.clip_scores, second.clip_scores
    if ours.names != theirs.names or first.info.data != second.info.data:
        raise ValueError("reports of different clips cannot be compared")
    if [s.protocol for s in first.scores] != [s.protocol for s in second.scores]:
        raise ValueError("reports under different protocols cannot be compared")
    seed = first.info.seed
    draws = draw_clusters(ours.sources, first.info.resamples, seed)
    rows = []
    for name, metric, scorer, values in _joint_scorers(first, second):
        difference = paired_difference(scorer, ours.sources, draws, permutations=permutations, seed=seed)
        rows.append(ComparedScore(name, metric, *values, difference))
    pair = names or (first.info.model, second.info.model)
    return Comparison(*pair, first.info.clips, first.info.sources, tuple(rows))


def _joint_scorers(
    first: BenchmarkReport, second: BenchmarkReport
) -> Iterator[tuple[str, MetricName, Scorer, tuple[float, float]]]:
    """Yield each score: protocol, metric, scorer of rows of the joined table, and both models' values."""
    ours, theirs = first.clip_scores, second.clip_scores
    for a, b in zip(first.scores, second.scores, strict=True):
        joined = ours.tables[a.protocol.scoring].join(theirs.tables[a.protocol.scoring])
        for metric in METRIC_NAMES:
            values = (a.overall.scores[metric].value, b.overall.scores[metric].value)
            yield a.protocol.name, metric, partial(score_clips, joined, a.protocol, metric), values
    if not (first.semantic and second.semantic and ours.semantic and theirs.semantic):
        return
    if len(ours.semantic) != len(ours.names):
        return
    both = ours.semantic.join(theirs.semantic)
    for subset in CLASS_SUBSETS:
        scores = [report.overall[subset] for report in (first.semantic, second.semantic)]
        for metric in METRIC_NAMES:
            values = (scores[0][metric].value, scores[1][metric].value)
            yield f"labels ({subset})", metric, partial(score_semantic, both, metric, subset), values
