"""Report of a grid study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from save_avs.evaluation.scenes import EMPTY_TARGET, OWN_SOUND
from save_avs.metrics.bootstrap_and_permutation import Difference, Estimate
from studies.charts import draw_costs, draw_quality
from studies.config import StudyConfig
from studies.environment import command_line
from studies.report import Chart, StudyReport, Table, difference_cell
from studies.results import RunResult, Unit
from studies.scoring import CLIP
from studies.statistics import CrossedBootstrap, SeedSample, correct_differences

_METHOD = (
    "mIoU is the mean over all seeds and units (scenes, or clips), which are the same for every run. "
    "Intervals are 95 % percentile bootstraps of 2000 draws that resample units, the same for all variants, "
    "and the seeds of each variant; with one seed they cover other scenes only, and with three they are "
    "still too narrow for other seeds. p is of a paired permutation test over units against the reference "
    "(means over seeds, 9999 swaps), corrected by Holm for the number of variants; it tests whether these "
    "models differ on other scenes, not whether trainings with other seeds would."
)
UnitFilter = Callable[[Unit], bool]


def is_main(unit: Unit) -> bool:
    """Whether a unit counts for the mIoU."""
    return unit.kind in {*OWN_SOUND, CLIP}


@dataclass(frozen=True)
class GridResults:
    """The results of a study.

    Attributes:
        study: as declared.
        runs: of each variant with a finished run, by seed.
    """

    study: StudyConfig
    runs: Mapping[str, Sequence[RunResult]]

    def sample(self, variant: str, wanted: UnitFilter) -> SeedSample | None:
        """Return the values of some units, in the same order for all variants; None without any."""
        tables = [{unit[:3]: v for unit, v in r.values.items() if wanted(unit)} for r in self.runs[variant]]
        if not tables[0]:
            return None
        units = sorted(tables[0], key=lambda unit: (unit[1], unit[2], unit[0]))
        values = np.array([[table[unit] for unit in units] for table in tables])
        return SeedSample(values, tuple(source for _, _, source in units))

    def means(self, wanted: UnitFilter) -> dict[str, Estimate]:
        """Mean and interval of each variant that has such units."""
        bootstraps: dict[tuple[str, ...], CrossedBootstrap] = {}
        found = {}
        for name in self.runs:
            sample = self.sample(name, wanted)
            if sample is not None:
                if sample.sources not in bootstraps:
                    bootstraps[sample.sources] = CrossedBootstrap(sample.sources)
                found[name] = bootstraps[sample.sources].mean(sample)
        return found

    def differences(self, wanted: UnitFilter) -> dict[str, Difference]:
        """Difference of each variant from the reference; empty without results of the reference."""
        if self.study.reference not in self.runs:
            return {}
        reference = self.sample(self.study.reference, wanted)
        assert reference is not None
        bootstrap = CrossedBootstrap(reference.sources)
        samples = {name: self.sample(name, wanted) for name in self.runs if name != self.study.reference}
        return correct_differences(
            {
                name: bootstrap.difference(sample, reference)
                for name, sample in samples.items()
                if sample is not None and sample.sources == reference.sources
            }
        )


def make_report(
    name: str, results: GridResults, *, failed: Mapping[str, str], missing: Sequence[str]
) -> StudyReport:
    """Make the report of the finished runs; failed and missing ones are listed."""
    miou, differences = results.means(is_main), results.differences(is_main)
    tables = [
        _quality_table(results, miou, differences),
        _sound_table(results),
        _size_table(results),
        _cost_table(results),
        _run_table(results),
    ]
    text = [f"The reference is {results.study.reference}.", _METHOD]
    text += [f"{run} failed: {problem}" for run, problem in failed.items()]
    text += [f"Not run yet: {', '.join(missing)}."] if missing else []
    return StudyReport(
        name=name,
        title=results.study.title,
        question=results.study.question,
        setting=_setting(results),
        text=tuple(text),
        tables=tuple(table for table in tables if table is not None),
        charts=_charts(results, miou, differences),
    )


def _quality_table(
    results: GridResults, miou: Mapping[str, Estimate], differences: Mapping[str, Difference]
) -> Table:
    rows = []
    for name, runs in results.runs.items():
        difference = differences.get(name)
        rows.append(
            (
                name,
                results.study.variants[name].description,
                len(runs),
                miou.get(name),
                difference_cell(difference, miou[name].count if name in miou else 0),
                None if difference is None else difference.p,
                float(np.mean([run.f_score for run in runs])),
            )
        )
    columns = ("variant", "description", "seeds", "mIoU", "difference", "p (Holm)", "F")
    return Table("quality", "Quality", columns, tuple(rows))


def _sound_table(results: GridResults) -> Table | None:
    kinds = (*OWN_SOUND, "silent object's sound", *EMPTY_TARGET)
    columns = (
        "one source",
        "two sources",
        "a silent object's sound",
        *(f"marked: {k}" for k in EMPTY_TARGET),
    )
    groups: list[UnitFilter] = [lambda unit, kind=kind: unit.kind == kind for kind in kinds]
    return _group_table(results, "sounds", "By sound: mIoU, or share of pixels marked", columns, groups)


def _size_table(results: GridResults) -> Table | None:
    medium, large = results.study.evaluation.size_thresholds
    bounds = ((0.0, medium), (medium, large), (large, 1.01))
    columns = (f"small, below {medium:.0%}", f"medium, to {large:.0%}", "large")
    groups: list[UnitFilter] = [
        lambda unit, low=low, high=high: is_main(unit) and low <= unit.target_area < high
        for low, high in bounds
    ]
    return _group_table(results, "sizes", "mIoU by the target's share of the image", columns, groups)


def _group_table(
    results: GridResults, name: str, title: str, columns: Sequence[str], groups: Sequence[UnitFilter]
) -> Table | None:
    """A column for each group of units; None where no variant has any of them."""
    means = [results.means(group) for group in groups]
    if not any(means):
        return None
    rows = tuple((variant, *(column.get(variant) for column in means)) for variant in results.runs)
    return Table(name, title, ("variant", *columns), rows)


def _cost_table(results: GridResults) -> Table:
    rows = tuple(
        (
            name,
            runs[0].trained_parameters / 1e6,
            runs[0].parameters / 1e6,
            runs[0].flops_per_frame / 1e9,
            runs[0].ms_per_frame,
            runs[0].memory_gb,
            runs[0].frames,
            float(np.mean([run.seconds for run in runs])) / 60,
        )
        for name, runs in results.runs.items()
    )
    columns = (
        "variant",
        "trained, M",
        "total, M",
        "GFLOP",
        "ms per frame",
        "memory, GB",
        "frames",
        "minutes",
    )
    return Table("cost", "Cost", columns, rows)


def _run_table(results: GridResults) -> Table:
    rows = tuple(
        (name, run.seed, _mean_iou(run), run.f_score) for name, runs in results.runs.items() for run in runs
    )
    return Table("runs", "Runs", ("variant", "seed", "mIoU", "F"), rows)


def _mean_iou(run: RunResult) -> float:
    return float(np.mean([value for unit, value in run.values.items() if is_main(unit)]))


def _charts(
    results: GridResults, miou: Mapping[str, Estimate], differences: Mapping[str, Difference]
) -> tuple[Chart, ...]:
    if not miou:
        return ()
    reference = results.study.reference
    caption = (
        "Left: mIoU of each variant with its 95 % interval, and its runs as dots. Right: the difference "
        f"from {reference} on the same scenes, whose interval is narrower because it is paired."
    )
    runs = {name: [_mean_iou(run) for run in runs] for name, runs in results.runs.items()}
    first = {name: runs[0] for name, runs in results.runs.items()}
    costs = {"trained parameters, M": {name: run.trained_parameters / 1e6 for name, run in first.items()}}
    if ms := {name: run.ms_per_frame for name, run in first.items() if run.ms_per_frame is not None}:
        costs = {"milliseconds per frame": ms, **costs}
    return (
        Chart("quality", caption, draw_quality(miou, differences, runs, reference)),
        Chart("cost", "Quality and cost.", draw_costs(miou, costs)),
    )


def _setting(results: GridResults) -> dict[str, str]:
    every = [run for runs in results.runs.values() for run in runs]
    seeds = {name: ", ".join(str(run.seed) for run in runs) for name, runs in results.runs.items()}
    return {
        "command": command_line(),
        "machine": "; ".join(sorted({run.machine for run in every})),
        "seeds": "; ".join(f"{name}: {numbers}" for name, numbers in seeds.items()),
        "budget": "; ".join(sorted({f"{run.frames:,} frames" for run in every if run.frames})),
    }
