"""From the results of a study's runs to its report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from save_avs.evaluation.scenes import EMPTY_TARGET as EMPTY
from save_avs.evaluation.scenes import OWN_SOUND as OWN
from save_avs.metrics.bootstrap import Difference, Estimate, holm
from save_avs.training.recipe import Recipe
from studies.budget import sizes_of
from studies.charts import draw_costs, draw_quality
from studies.config import Study
from studies.report import Cell, Chart, Sheet, StudyReport
from studies.result import Result, Row
from studies.scoring import CLIP
from studies.statistics import Resampled, Sample

MAIN = {*OWN, CLIP}  # kinds of rows whose mean is the mIoU
HOW = (
    "mIoU is the mean over all seeds and units (scenes, or clips), which are the same for every run. "
    "Intervals are 95 % percentile bootstraps of 2000 draws in which units are drawn anew, for all variants "
    "alike, and the seeds of each variant too; with one seed they tell of other scenes only, and with three "
    "they are still too narrow for other seeds. p is of a paired permutation test over units against the "
    "reference (means over seeds, 9999 swaps), corrected by Holm for the number of variants; it asks whether "
    "these models differ on other scenes, not whether trainings from other seeds would."
)


@dataclass(frozen=True)
class Findings:
    """The results of a study, by variant.

    Attributes:
        study: as declared.
        results: of each variant with a finished run, its seeds in order.
        ms: milliseconds a frame of each variant, as far as they were measured.
    """

    study: Study
    results: Mapping[str, Sequence[Result]]
    ms: Mapping[str, float] = field(default_factory=dict)

    def sample(self, variant: str, wanted: Callable[[Row], bool]) -> Sample | None:
        """The values of the rows wanted, in one order for all variants; None where there are none."""
        tables = [{row[:3]: row for row in r.scores.rows if wanted(row)} for r in self.results[variant]]
        if not tables[0]:
            return None
        keys = sorted(tables[0])
        values = np.array([[table[key].value for key in keys] for table in tables])
        return Sample(values, tuple(tables[0][key].source for key in keys))

    def figures(self, wanted: Callable[[Row], bool]) -> dict[str, Estimate]:
        """Mean and interval of each variant."""
        samples = {name: self.sample(name, wanted) for name in self.results}
        known = {name: sample for name, sample in samples.items() if sample is not None}
        if not known:
            return {}
        draws: dict[tuple[str, ...], Resampled] = {}
        return {
            name: draws.setdefault(sample.sources, Resampled(sample.sources)).mean(sample)
            for name, sample in known.items()
        }

    def differences(self, wanted: Callable[[Row], bool]) -> dict[str, Difference]:
        """Of each variant but the reference, p corrected by Holm; none where the reference has no result."""
        if self.study.reference not in self.results:
            return {}
        reference = self.sample(self.study.reference, wanted)
        assert reference is not None
        draws = Resampled(reference.sources)
        found = {}
        for name in self.results:
            sample = self.sample(name, wanted)
            if name != self.study.reference and sample is not None and sample.sources == reference.sources:
                found[name] = draws.difference(sample, reference)
        ps = holm([difference.p for difference in found.values()])
        return {
            name: Difference(d.value, d.low, d.high, p)
            for (name, d), p in zip(found.items(), ps, strict=True)
        }


def is_main(row: Row) -> bool:
    """Whether a row counts for the mIoU."""
    return row.kind in MAIN


def summarize(
    name: str, findings: Findings, *, failed: Mapping[str, str], missing: Sequence[str], timed_on: str
) -> StudyReport:
    """The report of what there is; runs that failed, or are not done yet, are named in it."""
    miou, differences = findings.figures(is_main), findings.differences(is_main)
    sheets = [
        _quality(findings, miou, differences),
        _kinds(findings),
        _sizes(findings),
        _cost(findings),
        _runs(findings),
    ]
    text = [f"The reference is {findings.study.reference}.", HOW]
    text += [f"{run} failed: {problem}" for run, problem in failed.items()]
    text += [f"Not run yet: {', '.join(missing)}."] if missing else []
    return StudyReport(
        name=name,
        title=findings.study.title,
        question=findings.study.question,
        setting=_setting(findings, timed_on),
        text=tuple(text),
        sheets=tuple(sheet for sheet in sheets if sheet is not None),
        charts=_charts(findings, miou, differences),
    )


def _quality(
    findings: Findings, miou: Mapping[str, Estimate], differences: Mapping[str, Difference]
) -> Sheet:
    rows = []
    for name, results in findings.results.items():
        difference = differences.get(name)
        rows.append(
            (
                name,
                findings.study.variants[name].says,
                len(results),
                miou.get(name),
                None if difference is None else _as_figure(difference, miou[name].count),
                None if difference is None else difference.p,
                float(np.mean([result.scores.figures["f"] for result in results])),
            )
        )
    columns = ("variant", "what", "seeds", "mIoU", "difference", "p (Holm)", "F")
    return Sheet("quality", "Quality", columns, tuple(rows))


def _as_figure(difference: Difference, count: int) -> Estimate:
    return Estimate(difference.value, difference.low, difference.high, count)


def _kinds(findings: Findings) -> Sheet | None:
    """Every way in which scenes are heard."""
    kinds = (*OWN, "silent object's sound", *EMPTY)
    titles = ("one source", "two sources", "a silent object's sound", *(f"marked: {kind}" for kind in EMPTY))
    return _grouped(
        findings,
        "sounds",
        "Scenes by what is heard: mIoU, or share marked",
        titles,
        [lambda row, kind=kind: row.kind == kind for kind in kinds],
    )


def _sizes(findings: Findings) -> Sheet | None:
    """By how much of the picture sounds."""
    medium, large = findings.study.evaluation.sizes
    bounds = ((0.0, medium), (medium, large), (large, 1.01))
    titles = (f"small, below {medium:.0%}", f"medium, to {large:.0%}", "large")
    return _grouped(
        findings,
        "sizes",
        "mIoU by the share of the picture that sounds",
        titles,
        [lambda row, low=low, high=high: is_main(row) and low <= row.share < high for low, high in bounds],
    )


def _grouped(
    findings: Findings,
    name: str,
    title: str,
    titles: Sequence[str],
    groups: Sequence[Callable[[Row], bool]],
) -> Sheet | None:
    """A column a group of rows; None where no variant has any of them."""
    columns = [findings.figures(group) for group in groups]
    if not any(columns):
        return None
    rows = tuple((variant, *(column.get(variant) for column in columns)) for variant in findings.results)
    return Sheet(name, title, ("variant", *titles), rows)


def _cost(findings: Findings) -> Sheet:
    columns = ("variant", "trained, M", "total, M", "GFLOP", "ms a frame", "memory, GB", "frames", "minutes")
    rows = []
    for name, results in findings.results.items():
        first, sizes = results[0], sizes_of(Recipe.model_validate(results[0].recipe))
        row: tuple[Cell, ...] = (
            name,
            sizes.trained / 1e6 if first.spent.items else 0.0,
            sizes.total / 1e6,
            sum(sizes.flops.values()) / 1e9,
            findings.ms.get(name),
            first.spent.memory_gb,
            first.spent.items,
            float(np.mean([result.spent.seconds for result in results])) / 60,
        )
        rows.append(row)
    return Sheet("cost", "Cost", columns, tuple(rows))


def _runs(findings: Findings) -> Sheet:
    rows = []
    for name, results in findings.results.items():
        for result in results:
            values = [row.value for row in result.scores.rows if is_main(row)]
            rows.append(
                (name, result.seed, float(np.mean(values)), result.scores.figures["f"], result.digest)
            )
    return Sheet("runs", "Runs", ("variant", "seed", "mIoU", "F", "digest"), tuple(rows))


def _charts(
    findings: Findings, miou: Mapping[str, Estimate], differences: Mapping[str, Difference]
) -> tuple[Chart, ...]:
    if not miou:
        return ()
    reference = findings.study.reference
    caption = (
        f"Left: mIoU of each variant with its 95 % interval; a dot is a run. Right: the difference from "
        f"{reference} on the same scenes, whose interval is narrower because it is paired."
    )
    each = {name: _means(results) for name, results in findings.results.items()}
    charts = [Chart("quality", caption, draw_quality(miou, differences, each, reference))]
    sizes = {name: sizes_of(Recipe.model_validate(rs[0].recipe)) for name, rs in findings.results.items()}
    axes = {"trained parameters, M": {name: s.trained / 1e6 for name, s in sizes.items()}}
    if findings.ms:
        axes = {"milliseconds a frame": dict(findings.ms), **axes}
    charts.append(Chart("cost", "Quality beside cost.", draw_costs(miou, axes)))
    return tuple(charts)


def _means(results: Sequence[Result]) -> list[float]:
    return [float(np.mean([row.value for row in r.scores.rows if is_main(row)])) for r in results]


def _setting(findings: Findings, timed_on: str) -> dict[str, str]:
    every = [result for results in findings.results.values() for result in results]
    seeds = {name: ", ".join(str(r.seed) for r in results) for name, results in findings.results.items()}
    return {
        "command": shlex.join(["save-avs", *sys.argv[1:]]),
        "trained on": "; ".join(sorted({result.spent.machine for result in every})),
        "timed on": timed_on or "–",
        "seeds": "; ".join(f"{name}: {of}" for name, of in seeds.items()),
        "budget": "; ".join(sorted({f"{r.spent.items:,} frames" for r in every if r.spent.items})),
    }
