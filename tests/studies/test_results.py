"""Tables of results: they read back, and the committed ones give the reports in docs/studies."""

from __future__ import annotations

from pathlib import Path

import pytest

from save_avs.errors import DataError
from studies.config import GRID_STUDIES, load_study, make_runs
from studies.grid import GridStudy
from studies.results import COMMITTED, RunResult, Unit, read_results, write_results

DOCS = Path(__file__).parents[2] / "docs" / "studies"


def result(variant: str, seed: int, **values: float) -> RunResult:
    return RunResult(
        variant=variant,
        seed=seed,
        digest="abc def",
        f_score=0.5,
        frames=19_200,
        seconds=12.5,
        memory_gb=None,
        trained_parameters=1000,
        parameters=2000,
        flops_per_frame=3000,
        machine="a CPU, 1 thread",
        values={Unit("one source", name, name, 0.25): value for name, value in values.items()},
    )


def test_results_read_back(tmp_path):
    results = [result("a-b", 0, x=0.125, y=1.0), result("none", 2, x=0.0)]
    write_results(tmp_path / "results.csv", results)
    assert read_results(tmp_path / "results.csv") == results
    assert read_results(tmp_path / "missing.csv") == []


@pytest.mark.parametrize(
    "text", ["", "measure,unit,source,target_area,a-seed0\nspeed,,,,1\n"], ids=["empty", "unknown measure"]
)
def test_other_file_is_a_data_error(tmp_path, text):
    path = tmp_path / "results.csv"
    path.write_text(text)
    with pytest.raises(DataError, match="not a table of results"):
        read_results(path)


def test_committed_results_are_small_and_complete():
    assert {path.stem for path in COMMITTED.glob("*.csv")} == set(GRID_STUDIES)
    assert sum(path.stat().st_size for path in COMMITTED.glob("*.csv")) < 1_000_000
    for name in GRID_STUDIES:
        declared = {run.name for run in make_runs(load_study(name), Path("out"))}
        committed = {result.name for result in read_results(COMMITTED / f"{name}.csv")}
        not_run = {"vggish-seed0", "cnn14-seed0"} if name == "backbones" else set()
        assert declared - committed == not_run and committed <= declared


@pytest.mark.parametrize("name", GRID_STUDIES)
def test_report_of_the_committed_results_is_the_documented_one(name, tmp_path):
    study = GridStudy(name, tmp_path / name)
    report = study.run(report_only=True, log=lambda _: None).report
    made = {line for table in report.tables for line in table.markdown().splitlines()}
    text = (DOCS / f"{name}.md").read_text()
    documented = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(documented) > 8 and [line for line in documented if line not in made] == []
