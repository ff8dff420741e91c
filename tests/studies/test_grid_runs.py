"""A grid study end to end on a micro corpus: reproducible, resumable, and tolerant of failed runs."""

from __future__ import annotations

import csv
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from studies.cli import main
from studies.results import read_results
from tests.support.study_runs import STEPS, make_study

pytestmark = pytest.mark.exhaustive

RUNS = ["both-seed0", "both-seed1", "image-seed0", "none-seed0"]


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module")
def done(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study."""
    folder = tmp_path_factory.mktemp("studies") / "done"
    assert main(["grid", str(toys), "-o", str(folder)]) == 0
    return folder


def table(folder: Path, name: str = "quality") -> list[dict[str, str]]:
    with (folder / "report" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def tables(folder: Path) -> dict[str, bytes]:
    """All tables without times."""
    return {p.name: p.read_bytes() for p in (folder / "report").glob("*.csv") if p.name != "cost.csv"}


def states(capsys) -> list[str]:
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if "-seed" in line]
    return [row[2].strip() for row in rows]


def test_report_has_every_run(done):
    rows = table(done)
    assert [(row["variant"], row["seeds"]) for row in rows] == [("both", "2"), ("image", "1"), ("none", "1")]
    assert rows[0]["p (Holm)"] == "" and all(0 <= float(row["p (Holm)"]) <= 1 for row in rows[1:])
    for row in rows:
        assert float(row["mIoU low"]) <= float(row["mIoU"]) <= float(row["mIoU high"])
    cost = {row["variant"]: row for row in table(done, "cost")}
    assert float(cost["none"]["trained, M"]) < float(cost["image"]["trained, M"])
    assert cost["both"]["frames"] == str(STEPS * 4) and float(cost["both"]["ms per frame"]) > 0
    assert [row["seed"] for row in table(done, "runs")] == ["0", "1", "0", "0"]
    assert "Which?" in (done / "report/report.md").read_text()


def test_mean_is_that_of_the_stored_values(done):
    values = [
        value
        for result in read_results(done / "results.csv")
        if result.variant == "both"
        for unit, value in result.values.items()
        if unit.kind in {"one source", "two sources"}
    ]
    mean, count = float(table(done)[0]["mIoU"]), int(table(done)[0]["mIoU count"])
    assert count == len(values) and mean == pytest.approx(sum(values) / count)


def test_finished_runs_are_not_repeated(toys, done, capsys):
    before = (done / "results.csv").read_bytes()
    assert main(["grid", str(toys), "-o", str(done)]) == 0
    out, err = capsys.readouterr()
    assert "4 of 4 runs are done" in err and "| both |" in out
    assert before == (done / "results.csv").read_bytes()


def test_results_of_the_same_recipe_come_from_a_neighboring_study(toys, done, capsys):
    other = make_study(
        toys.parent,
        variants={"as-before": {}, "smaller": {"model": {"image_adapter": {"ratio": 0.1}}}},
        reference="as-before",
    )
    beside = done.parent / "beside"
    assert main(["grid", str(other), "-o", str(beside), "--dry-run"]) == 0 and not beside.exists()
    other = other.rename(other.with_name("others.yaml"))
    assert main(["grid", str(other), "-o", str(beside), "--runs", "as-before"]) == 0
    assert "1 of 1 runs are done" in capsys.readouterr().err
    assert not (beside / "as-before-seed0").exists()
    assert "Not run yet: smaller-seed0." in (beside / "report/report.md").read_text()
    make_study(toys.parent)


def test_table_of_results_is_enough_for_the_report(toys, done, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.copy(done / "results.csv", moved)
    assert main(["grid", str(toys), "-o", str(moved), "--report-only"]) == 0
    assert tables(moved) == tables(done)


def test_other_starting_weights_make_another_run(toys, done, capsys):
    weights = toys.parent / "base" / "model.safetensors"
    content = weights.read_bytes()

    def plan() -> set[str]:
        assert main(["grid", str(toys), "-o", str(done), "--dry-run"]) == 0
        return set(states(capsys))

    assert plan() == {"done"}
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert plan() == {"to do"}
    weights.unlink()  # results that came without their starting weights are accepted
    assert plan() == {"done"}
    weights.write_bytes(content)
    assert plan() == {"done"}


def test_dry_run_lists_the_runs_and_writes_nothing(toys, done, tmp_path, capsys):
    args = ["grid", str(toys), "stages.scenes.steps=9", "--dry-run", "-o"]
    assert main([*args, str(tmp_path / "new")]) == 0
    out = capsys.readouterr().out
    assert all(f"| {name} | to do | 36 |" in out for name in RUNS) and "4 of 4 runs to do" in out
    assert not (tmp_path / "new").exists()


@pytest.mark.exhaustive
def test_failed_run_does_not_stop_the_others(tmp_path, capsys):
    variants = {
        "both": {},
        "broken": {"stage": {"lr": 1e30, "grad_clip_norm": 1e30}},
        "image": {"model": {"audio_adapter": {"inject_into": "none"}}},
    }
    file = make_study(tmp_path, variants=variants)
    folder = tmp_path / "out"
    assert main(["grid", str(file), "-o", str(folder)]) == 3
    err = capsys.readouterr().err
    assert "broken-seed0 failed" in err and "3 of 3" in err
    assert [row["variant"] for row in table(folder)] == ["both", "image"]
    assert "broken-seed0 failed" in (folder / "report/report.md").read_text()


@pytest.mark.exhaustive
def test_killed_study_resumes_with_parallel_runs_to_the_same_tables(toys, done, tmp_path):
    folder = tmp_path / "killed"
    options = ["checkpoint_interval_s=0.001", "-o", str(folder)]
    command = [sys.executable, "-m", "studies", "grid", str(toys), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    found = _wait_for(folder, "image-seed0/scenes/checkpoint-*.pt")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert found and [r.name for r in read_results(folder / "results.csv")] == RUNS[:2]
    again = subprocess.run([*command, "--jobs", "2"], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "2 of 4 runs are done" in again.stderr
    assert tables(folder) == tables(done) and len(tables(done)) == 4


def _wait_for(folder: Path, pattern: str, seconds: float = 120.0) -> list[Path]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := list(folder.glob(pattern)):
            return found
        time.sleep(0.005)
    return []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runs", "nothing"], "unknown run 'nothing'"),
        (["stages.scenes.speed=1"], "stages.scenes.speed"),
        (["stages.scenes.init_from=nowhere"], "nowhere"),
        (["--dry-run", "--report-only"], "cannot be combined"),
        (["--report-only"], "nothing to report"),
        (["--jobs", "0"], "--jobs"),
    ],
    ids=["unknown run", "unknown key", "missing start", "two modes", "no results", "option out of range"],
)
def test_usage_error_before_any_work(toys, tmp_path, capsys, arguments, message):
    folder = tmp_path / "out"
    assert main(["grid", str(toys), *arguments, "-o", str(folder)]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("checkpoint-*")) and not (folder / "report").exists()


def test_folder_of_something_else_is_refused(toys, done, tmp_path, capsys):
    (tmp_path / "mine.txt").touch()
    assert main(["grid", str(toys), "-o", str(tmp_path)]) == 2
    assert "not a study's folder" in capsys.readouterr().err
    assert main(["starting-point", "-o", str(done)]) == 2
    assert "contains another study" in capsys.readouterr().err


def test_run_of_another_recipe_is_not_resumed(toys, done, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(done, folder)
    assert main(["grid", str(toys), "stages.scenes.lr=2e-3", "-o", str(folder), "--runs", "none"]) == 2
    assert "different recipe" in capsys.readouterr().err
