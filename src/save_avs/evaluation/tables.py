"""Reports as Markdown: figures in per cent, as the papers print them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from save_avs.evaluation.bootstrap import Difference, Score
from save_avs.evaluation.reference_results import (
    TEST_CLIPS,
    PublishedResult,
    published_label_results,
    published_mask_results,
)
from save_avs.evaluation.results import About, GroupScores, LabelScores, ProtocolScores
from save_avs.metrics.semantic import CLASS_SUBSETS

if TYPE_CHECKING:
    from save_avs.evaluation.benchmark_report import BenchmarkReport
    from save_avs.evaluation.comparison import Comparison


def report_table(report: BenchmarkReport) -> str:
    """Everything but the examples."""
    about = report.about
    parts = [_head(about), _protocols(report.scores, published_mask_results(about.data, about.split))]
    parts += [_legend(report.scores)]
    first = report.scores[0]
    for what, groups in (("category", first.categories), ("kinds of objects that sound", first.objects)):
        if groups:
            parts.append(f"By {what}, protocol `{first.protocol.name}`:\n\n" + _groups(what, groups))
    if report.labels is not None:
        parts += _labels(report.labels, published_label_results(about.data, about.split))
    return "\n\n".join(parts) + "\n"


def comparison_table(comparison: Comparison) -> str:
    """Differences with their intervals and p values."""
    lines = [
        f"{comparison.second} against {comparison.first}, on the same {comparison.clips} clips of "
        f"{comparison.sources} source videos; a positive difference speaks for {comparison.second}.",
        "",
        *markdown_table(
            ("protocol", "score", comparison.first, comparison.second, "difference [95 %]", "p"),
            [
                (
                    f"`{row.protocol}`",
                    _MEASURES[row.measure],
                    percent(row.first),
                    percent(row.second),
                    _difference(row.difference),
                    _p(row.difference.p),
                )
                for row in comparison.rows
            ],
        ),
        "",
        "p: two-sided paired permutation test, answers swapped source by source; each p is of its row alone, "
        "not corrected for the number of rows.",
    ]
    return "\n".join(lines) + "\n"


def percent(value: float) -> str:
    """A score in 0..1 as per cent; a dash for none."""
    return "–" if math.isnan(value) else f"{100 * value:.1f}"


_MEASURES = {"miou": "mIoU", "f": "F"}


def _head(about: About) -> str:
    text = (
        f"{about.model} ({about.image_size} px, {about.resize}, {about.precision}) on {about.data}, split "
        f"{about.split}: {about.clips} clips of {about.sources} source videos, {about.frames} frames, in "
        f"{about.silent_frames} of which nothing sounds. Per cent, with 95 % bootstrap intervals "
        "over source videos."
    )
    if about.skipped:
        text += (
            f"\n\n**{len(about.skipped)} broken clips were left out**: these are figures of fewer clips than "
            "the benchmark's."
        )
    official = TEST_CLIPS.get(about.data, about.clips) if about.split == "test" else about.clips
    if official != about.clips:
        text += (
            f"\n\n**Not the benchmark's test split**: it has {official} clips, this run scored "
            f"{about.clips}. The published figures below are of another data set than ours."
        )
    return text


def _protocols(scores: Sequence[ProtocolScores], published: Iterable[PublishedResult]) -> str:
    rows = [
        (f"**{s.protocol.name}**", *(_score(s.overall.scores[m]) for m in ("miou", "f")), "measured here")
        for s in scores
    ]
    return "\n".join(markdown_table(("protocol", "mIoU", "F", "source"), rows + _published(published)))


def _published(published: Iterable[PublishedResult]) -> list[tuple[str, ...]]:
    rows = []
    for p in published:
        note = f"published; protocol: {p.protocol}" + (f"; {p.caveat}" if p.caveat else "")
        rows.append((p.method, f"{p.miou:g}", "–" if p.f is None else f"{p.f:g}", note))
    return rows


def _legend(scores: Sequence[ProtocolScores]) -> str:
    return "\n".join(f"* `{s.protocol.name}`: {s.protocol.description}{_side(s)}" for s in scores)


def _side(scores: ProtocolScores) -> str:
    if not scores.protocol.size_is_configurable:
        return ""
    size = scores.protocol.scoring.size
    return "; compared at the truth's own size" if size == "truth" else f"; compared at {size} x {size}"


def _groups(what: str, groups: Iterable[GroupScores]) -> str:
    rows = [
        (g.name, str(g.clips), str(g.frames), _score(g.scores["miou"]), _score(g.scores["f"])) for g in groups
    ]
    return "\n".join(markdown_table((what, "clips", "frames", "mIoU", "F"), rows))


def _labels(labels: LabelScores, published: Sequence[PublishedResult]) -> list[str]:
    rows = [
        (f"**{name}**", _score(scores["miou"]), _score(scores["f"]), f"measured here: {CLASS_SUBSETS[name]}")
        for name, scores in labels.overall.items()
    ]
    each = [
        (name, str(n), percent(iou), percent(f))
        for name, n, iou, f in zip(labels.classes, labels.frames, labels.miou, labels.f, strict=True)
        if n
    ]
    absent = len(labels.classes) - len(each)
    return [
        f"Label maps (AVSS) of {len(labels.classes)} classes, {absent} of which occur in no frame and "
        "count as 0; label maps compared at 224 x 224:\n\n"
        + "\n".join(markdown_table(("variant", "mIoU", "F", "source"), rows + _published(published))),
        "By class:\n\n" + "\n".join(markdown_table(("class", "frames", "IoU", "F"), each)),
    ]


def _score(score: Score) -> str:
    value = percent(score.value)
    return value if math.isnan(score.low) else f"{value} [{percent(score.low)}, {percent(score.high)}]"


def _difference(difference: Difference) -> str:
    if math.isnan(difference.value):
        return "–"
    text = f"{100 * difference.value:+.1f}"
    if math.isnan(difference.low):
        return text
    return f"{text} [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"


def _p(p: float) -> str:
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table as lines of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
