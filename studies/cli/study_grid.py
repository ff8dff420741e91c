"""What `save-avs study` does with a grid: list its runs, carry them out, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from save_avs._text import json_document as dumps
from save_avs._text import markdown_table
from save_avs.cli._console import print_block, print_line
from save_avs.cli._progress import format_duration
from save_avs.errors import DataError, UsageError
from studies.budget import items_a_step, machine, operations_a_second, steps_of, work_of
from studies.cli.study_report import print_report
from studies.config import Study, load_study
from studies.engine import carry_out, check_runs, claim_folder, collect, known_results
from studies.export import shown
from studies.report import StudyReport
from studies.result import Result, result_path
from studies.runs import Run, runs_of
from studies.speed import keep_ms, measure_ms, read_ms
from studies.summary import Findings, summarize

STUDIES = Path("runs/studies")
REPORT = "report"
SHOWN = ("quality", "cost")  # sheets that are printed; the report has all


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for; see the options of `save-avs study`."""

    study: str
    overrides: tuple[str, ...]
    recipe: Path | None
    only: tuple[str, ...]
    seeds: int | None
    jobs: int
    output: Path | None
    dry_run: bool
    report_only: bool
    as_json: bool


def run_grid(request: Request) -> int:
    """Train what is not there yet, and write and print the report of all that is."""
    if request.dry_run and request.report_only:
        raise UsageError("--dry-run runs nothing and --report-only writes a report: give one of them")
    study, name = load_study(request.study), Path(request.study).stem
    folder = request.output or STUDIES / name
    how = {"recipe": request.recipe, "overrides": request.overrides, "seeds": request.seeds}
    every = runs_of(name, study, folder, **how)
    wanted = runs_of(name, study, folder, **how, only=request.only)
    if request.dry_run:
        return _list(wanted, folder, as_json=request.as_json)
    claim_folder(folder, name)
    results = _collected(every, folder)
    failed: dict[str, str] = {}
    if not request.report_only:
        missing = [run for run in wanted if run.name not in results]
        _say(f"{name}: {len(wanted) - len(missing)} of {len(wanted)} runs are done already")
        check_runs(missing)
        failed = carry_out(missing, folder, jobs=request.jobs, print_line=_say)
        results = _collected(every, folder)
        _time(every, results, folder)
    if not results and failed:
        raise DataError("; ".join(f"{run} failed: {problem}" for run, problem in failed.items()))
    if not results:
        raise UsageError(f"{folder}: no run of {name} is done, so there is nothing to report")
    report = _report(name, study, every, results, folder, failed)
    report.save(folder / REPORT, overwrite=True)  # it is made of the results alone
    for run, problem in failed.items():
        print_line(f"{run} failed: {problem}", err=True)
    print_report(report, folder / REPORT, as_json=request.as_json, sheets=SHOWN, failed=failed)
    return DataError.exit_code if failed else 0


def _collected(runs: Sequence[Run], folder: Path) -> dict[str, Result]:
    """The results there are, each of them in the study's folder from then on."""
    results = collect(runs, known_results(folder))
    for result in results.values():
        if not result_path(folder, result).exists():
            result.save(folder)
    return results


def _list(runs: Sequence[Run], folder: Path, *, as_json: bool) -> int:
    """What the runs are, what they take, and whether they are done."""
    known = known_results(folder)
    results, pace = collect(runs, known), operations_a_second(known)
    rows = [_listed(run, run.name in results, pace) for run in runs]
    if as_json:
        print_block(dumps({"folder": str(folder), "runs": rows}))
        return 0
    cells = [[shown(value) for value in row.values()] for row in rows]
    print_block(markdown_table(list(rows[0]), cells))
    left = [row["seconds"] for row in rows if row["state"] != "done"]
    known = (
        format_duration(sum(left))
        if all(isinstance(s, float) for s in left)
        else "not known until a run is done"
    )
    print_line(f"{len(left)} of {len(rows)} runs are to be done; time, one after another: {known}")
    return 0


def _listed(run: Run, done: bool, pace: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {"run": run.name, "state": "done" if done else "to be done"}
    if run.prompt is not None:
        return {**row, "steps": 0, "frames": 0, "seconds": 0.0, "digest": run.digest}
    stages = run.recipe.stages
    return {
        **row,
        "steps": sum(steps_of(stage) for stage in stages),
        "frames": sum(steps_of(stage) * items_a_step(stage) for stage in stages),
        "seconds": None if pace is None else round(work_of(run.recipe) / pace, 1),
        "digest": run.digest,
    }


def _time(runs: Sequence[Run], results: Mapping[str, Result], folder: Path) -> None:
    """Time all variants beside each other, where one of them was not yet."""
    variants = {run.variant: run.recipe for run in runs if run.name in results and run.prompt is None}
    ms, _ = read_ms(folder)
    if variants.keys() - ms.keys():
        _say(f"timing {len(variants)} models in turns")
        keep_ms(folder, measure_ms(variants), machine())


def _report(
    name: str,
    study: Study,
    runs: Sequence[Run],
    results: Mapping[str, Result],
    folder: Path,
    failed: Mapping[str, str],
) -> StudyReport:
    by_variant: dict[str, list[Result]] = {}
    for run in runs:
        if run.name in results:
            by_variant.setdefault(run.variant, []).append(results[run.name])
    ms, timed_on = read_ms(folder)
    findings = Findings(study, by_variant, {name: ms[name] for name in by_variant if name in ms})
    missing = [run.name for run in runs if run.name not in results and run.name not in failed]
    return summarize(name, findings, failed=failed, missing=missing, timed_on=timed_on)


def _say(line: str) -> None:
    print_line(line, err=True)
