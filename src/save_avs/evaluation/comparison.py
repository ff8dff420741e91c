"""Two models on the same clips: differences, their intervals, and a paired test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from save_avs.evaluation.benchmark_report import BenchmarkReport, plain
from save_avs.evaluation.bootstrap import PERMUTATIONS, Difference, Scorer, draw_clusters, paired_difference
from save_avs.evaluation.tables import comparison_table
from save_avs.metrics.mask_metrics import METRIC_NAMES, MetricName, score_clips
from save_avs.metrics.semantic import CLASS_SUBSETS, score_semantic


@dataclass(frozen=True)
class ComparedScore:
    """One score of both models, each in 0..1."""

    protocol: str
    measure: MetricName
    first: float
    second: float
    difference: Difference


@dataclass(frozen=True)
class Comparison:
    """How the second model does beside the first.

    Attributes:
        first: its name.
        second: its name.
        clips: that both were scored on.
        sources: videos that these were cut from.
        rows: one for each protocol and score; label maps as ``labels (VARIANT)``.
    """

    first: str
    second: str
    clips: int
    sources: int
    rows: tuple[ComparedScore, ...]

    def table(self) -> str:
        """All rows as Markdown, in per cent."""
        return comparison_table(self)

    def as_json(self) -> dict[str, Any]:
        """All rows as plain values: scores in 0..1, NaN as None."""
        return plain(asdict(self))


def compare(
    first: BenchmarkReport,
    second: BenchmarkReport,
    *,
    names: tuple[str, str] | None = None,
    permutations: int = PERMUTATIONS,
) -> Comparison:
    """Compare two reports on the same clips, protocol by protocol; see `paired_difference` for the test.

    Clips are drawn and swapped together with all others of their source video, from the first report's seed.

    Args:
        first: the model compared with.
        second: the model whose advantage is asked for.
        names: what to call them; their own names by default.
        permutations: at most so many swaps for a p value.

    Raises:
        ValueError: the reports are of different clips or protocols.
    """
    ours, theirs = first.evidence, second.evidence
    if ours.names != theirs.names or first.about.data != second.about.data:
        raise ValueError("reports of different clips cannot be compared")
    if [s.protocol for s in first.scores] != [s.protocol for s in second.scores]:
        raise ValueError("reports under different protocols cannot be compared")
    draws = draw_clusters(ours.sources, first.about.resamples, first.about.seed)
    rows = []
    for name, measure, scorer, values in _scorers(first, second):
        difference = paired_difference(
            scorer, ours.sources, draws, permutations=permutations, seed=first.about.seed
        )
        rows.append(ComparedScore(name, measure, *values, difference))
    called = names or (first.about.model, second.about.model)
    return Comparison(*called, first.about.clips, first.about.sources, tuple(rows))


def _scorers(
    first: BenchmarkReport, second: BenchmarkReport
) -> Iterator[tuple[str, MetricName, Scorer, tuple[float, float]]]:
    """Each score of both: its name, how clips of the joined table score, and what both have."""
    for a, b in zip(first.scores, second.scores, strict=True):
        tables = [report.evidence.tables[a.protocol.scoring] for report in (first, second)]
        joined = tables[0].join(tables[1])
        for measure in METRIC_NAMES:
            values = (a.overall.scores[measure].value, b.overall.scores[measure].value)
            yield a.protocol.name, measure, partial(score_clips, joined, a.protocol, measure), values
    if first.labels is None or second.labels is None:
        return
    ours, theirs = first.evidence.labels, second.evidence.labels
    if ours is None or theirs is None or len(ours) != len(first.evidence.names):
        return
    both = ours.join(theirs)
    for variant in CLASS_SUBSETS:
        for measure in METRIC_NAMES:
            pair = [labels.overall[variant][measure].value for labels in (first.labels, second.labels)]
            scorer = partial(score_semantic, both, measure, variant)
            yield f"labels ({variant})", measure, scorer, (pair[0], pair[1])
