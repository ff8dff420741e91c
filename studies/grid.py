"""Grid studies: execute the runs that have no result, and report all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from save_avs._text import markdown_table
from save_avs.errors import DataError, UsageError
from studies.budget import count_frames, flops_per_second, training_flops
from studies.config import Run, StudyConfig, load_study, make_runs, select_runs
from studies.grid_report import GridResults, make_report
from studies.report import StudyReport, format_cell
from studies.results import FILE, RunResult, read_results
from studies.runner import (
    Log,
    check_folder,
    check_runs,
    execute_runs,
    find_results,
    save_results,
    time_variants,
)

STUDIES = Path("runs/studies")
REPORT = "report"


@dataclass(frozen=True)
class GridOutcome:
    """The report of a study, where it was saved, and the errors of the runs that failed, by name."""

    report: StudyReport
    folder: Path
    failed: Mapping[str, str]


class GridStudy:
    """A grid study.

    Args:
        name_or_file: a declared study, or a YAML file.
        folder: of the study; ``runs/studies/NAME`` by default.
        recipe: in place of the declared one.
        overrides: ``key=value``, for every run.
        seeds: number of runs of every variant; by default as declared.

    Raises:
        UsageError: the declaration, a recipe or an override is invalid.
    """

    def __init__(
        self,
        name_or_file: str,
        folder: Path | None = None,
        *,
        recipe: Path | None = None,
        overrides: Sequence[str] = (),
        seeds: int | None = None,
    ) -> None:
        self.name = Path(name_or_file).stem
        self.folder = folder or STUDIES / self.name
        self.study: StudyConfig = load_study(name_or_file)
        self.runs = make_runs(self.study, self.folder, recipe=recipe, overrides=overrides, seeds=seeds)
        declared = self.name == name_or_file and recipe is None and not overrides
        self._committed = self.name if declared else None

    def results(self) -> dict[str, RunResult]:
        """Return the results that exist, by name of the run."""
        return find_results(self.runs, self.folder, self._committed)

    def plan(self, only: Collection[str] = ()) -> str:
        """List the runs with their state, steps, frames and expected time, as Markdown."""
        results = self.results()
        speed = flops_per_second([*results.values(), *read_results(self.folder / FILE)])
        rows, left = [], 0.0
        for run in select_runs(self.runs, only):
            done = run.name in results
            frames = 0 if run.prompt else sum(count_frames(stage) for stage in run.recipe.stages)
            seconds = _expected_seconds(run, speed)
            left += 0 if done else seconds or 0
            state = "done" if done else "to do"
            rows.append([run.name, state, format_cell(frames), _duration(seconds)])
        todo = sum(row[1] == "to do" for row in rows)
        total = _duration(left if speed or not left else None) if todo else "nothing to do"
        table = markdown_table(("run", "state", "frames", "time"), rows)
        return f"{table}\n\n{todo} of {len(rows)} runs to do; expected time in sequence: {total}"

    def run(
        self, only: Collection[str] = (), *, jobs: int = 1, report_only: bool = False, log: Log
    ) -> GridOutcome:
        """Execute the runs without a result, and save the report of all results.

        Args:
            only: names of runs or variants; all by default.
            jobs: runs at a time.
            report_only: execute nothing.
            log: called with lines about the progress.

        Raises:
            UsageError: a run cannot start, or there is nothing to report.
            DataError: all runs failed.
            InterruptedRunError: stopped by a signal.
        """
        selected = select_runs(self.runs, only)
        check_folder(self.folder, self.study.variants)
        results = self.results()
        failed: dict[str, str] = {}
        if not report_only:
            missing = [run for run in selected if run.name not in results]
            log(f"{self.name}: {len(selected) - len(missing)} of {len(selected)} runs are done")
            check_runs(missing)
            failed = execute_runs(missing, self.folder, jobs=jobs, log=log)
            results = time_variants(self.runs, self.results(), log)
            save_results(self.folder, results)
        if not results:
            problems = "; ".join(f"{name} failed: {problem}" for name, problem in failed.items())
            if failed:
                raise DataError(problems)
            raise UsageError(f"{self.folder}: nothing to report, as no run of {self.name} is done")
        report = self._report(results, failed)
        folder = report.save(self.folder / REPORT, overwrite=True)  # made from the results alone
        return GridOutcome(report, folder, failed)

    def _report(self, results: Mapping[str, RunResult], failed: Mapping[str, str]) -> StudyReport:
        by_variant: dict[str, list[RunResult]] = {}
        for run in self.runs:
            if run.name in results:
                by_variant.setdefault(run.variant, []).append(results[run.name])
        missing = [run.name for run in self.runs if run.name not in results and run.name not in failed]
        return make_report(self.name, GridResults(self.study, by_variant), failed=failed, missing=missing)


def _expected_seconds(run: Run, speed: float | None) -> float | None:
    if run.prompt is not None:
        return 0.0
    return None if speed is None else training_flops(run.recipe) / speed


def _duration(seconds: float | None) -> str:
    return "not known yet" if seconds is None else str(timedelta(seconds=round(seconds)))
