"""A study end to end on a micro corpus: same table twice, goes on after a kill, reuses, reports failures."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from save_avs.cli import main
from tests.support.study_runs import STEPS, make_study


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module")
def done(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's folder, all of it carried out."""
    folder = tmp_path_factory.mktemp("studies") / "done"
    assert main(["study", "grid", str(toys), "-o", str(folder)]) == 0
    return folder


def table(folder: Path, name: str = "quality") -> list[dict[str, str]]:
    with (folder / "report" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def tables(folder: Path) -> dict[str, bytes]:
    """All that does not speak of time."""
    return {p.name: p.read_bytes() for p in (folder / "report").glob("*.csv") if p.name != "cost.csv"}


def test_the_report_has_every_run(done):
    rows = table(done)
    assert [(row["variant"], row["seeds"]) for row in rows] == [("both", "2"), ("image", "1"), ("none", "1")]
    assert rows[0]["p (Holm)"] == "" and all(0 <= float(row["p (Holm)"]) <= 1 for row in rows[1:])
    for row in rows:
        assert float(row["mIoU low"]) <= float(row["mIoU"]) <= float(row["mIoU high"])
    cost = {row["variant"]: row for row in table(done, "cost")}
    assert float(cost["none"]["trained, M"]) < float(cost["image"]["trained, M"])
    assert cost["both"]["frames"] == str(STEPS * 4) and float(cost["both"]["ms a frame"]) > 0
    runs = table(done, "runs")
    assert [row["seed"] for row in runs] == ["0", "1", "0", "0"] and len({r["digest"] for r in runs}) == 4
    page = (done / "report/report.html").read_text()
    assert "Which?" in page and page.count("data:image/svg+xml") == 2


def test_the_mean_is_that_of_the_rows(done):
    values = []
    for seed in (0, 1):
        document = json.loads((done / f"results/both-seed{seed}.json").read_text())
        rows = document["scores"]["rows"]
        values += [row[3] for row in rows if row[2] in {"one source", "two sources"}]
    mean, count = float(table(done)[0]["mIoU"]), int(table(done)[0]["mIoU count"])
    assert count == len(values) and mean == pytest.approx(sum(values) / count)


def test_two_runs_of_a_study_give_the_same_table(toys, done, tmp_path):
    again = tmp_path / "elsewhere" / "again"
    assert main(["study", "grid", str(toys), "-o", str(again)]) == 0
    assert tables(again) == tables(done) and len(tables(done)) == 4


def test_what_is_done_is_not_done_again(toys, done, capsys):
    before = {path: path.stat().st_mtime_ns for path in (done / "results").iterdir()}
    assert main(["study", "grid", str(toys), "-o", str(done), "--json"]) == 0
    out, err = capsys.readouterr()
    assert "4 of 4 runs are done already" in err
    assert json.loads(out)["report"]["sheets"]["quality"]["rows"][0]["variant"] == "both"
    assert before == {path: path.stat().st_mtime_ns for path in (done / "results").iterdir()}


def test_results_of_the_same_recipe_are_taken_from_the_study_beside_it(toys, done, capsys):
    other = make_study(
        toys.parent,
        variants={"as-before": {}, "smaller": {"model": {"image_adapter": {"ratio": 0.1}}}},
        reference="as-before",
    )
    beside = done.parent / "beside"
    assert main(["study", "grid", str(other), "-o", str(beside), "--dry-run"]) == 0 and not beside.exists()
    other = other.rename(other.with_name("others.yaml"))
    assert main(["study", "grid", str(other), "-o", str(beside), "--runs", "as-before"]) == 0
    assert "1 of 1 runs are done already" in capsys.readouterr().err
    assert not (beside / "as-before-seed0").exists()
    assert "Not run yet: smaller-seed0." in (beside / "report/report.md").read_text()
    make_study(toys.parent)


def test_results_alone_are_enough_for_the_report(toys, done, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.copy(done / "study", moved)
    shutil.copytree(done / "results", moved / "results")
    assert main(["study", "grid", str(toys), "-o", str(moved), "--report-only"]) == 0
    assert tables(moved) == tables(done)


def test_another_start_is_another_run(toys, done, capsys):
    """A base that was trained anew makes what stood on the old one worth nothing."""
    weights = toys.parent / "base" / "model.safetensors"
    former = weights.read_bytes()
    arguments = ["study", "grid", str(toys), "-o", str(done), "--dry-run", "--json"]

    def states() -> set[str]:
        assert main(arguments) == 0
        return {run["state"] for run in json.loads(capsys.readouterr().out)["runs"]}

    assert states() == {"done"}
    weights.write_bytes(former[:-1] + bytes([former[-1] ^ 1]))
    assert states() == {"to be done"}
    weights.unlink()  # results that came without what they started from are believed
    assert states() == {"done"}
    weights.write_bytes(former)
    assert states() == {"done"}


def test_the_list_says_what_is_to_be_done(toys, done, tmp_path, capsys):
    args = ["study", "grid", str(toys), "stages.scenes.steps=9", "--dry-run", "--json", "-o"]
    assert main([*args, str(tmp_path / "new")]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [run["run"] for run in runs] == ["both-seed0", "both-seed1", "image-seed0", "none-seed0"]
    assert all(run["state"] == "to be done" and run["frames"] == 36 for run in runs)
    assert not (tmp_path / "new").exists()


def test_a_run_that_fails_does_not_keep_the_others(toys, tmp_path, capsys):
    variants = {
        "both": {},
        "broken": {"stage": {"lr": 1e30, "grad_clip_norm": 1e30}},
        "image": {"model": {"audio_adapter": {"inject_into": "none"}}},
    }
    file = make_study(tmp_path, variants=variants)
    folder = tmp_path / "out"
    assert main(["study", "grid", str(file), "-o", str(folder)]) == 3
    err = capsys.readouterr().err
    assert "broken-seed0 failed" in err and "3 of 3" in err
    assert [row["variant"] for row in table(folder)] == ["both", "image"]
    assert "broken-seed0 failed" in (folder / "report/report.md").read_text()


@pytest.mark.slow
def test_a_killed_study_goes_on_to_the_same_table(toys, done, tmp_path):
    folder = tmp_path / "killed"
    command = [
        sys.executable,
        "-m",
        "save_avs",
        "study",
        "grid",
        str(toys),
        "checkpoint_interval_s=0.001",
        "-o",
        str(folder),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    found = _wait_for(folder, "image-seed0/scenes/checkpoint-*.pt")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert found and (folder / "results/both-seed1.json").exists()
    assert not (folder / "results/image-seed0.json").exists()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "2 of 4 runs are done already" in again.stderr and "image-seed0: scenes: going on" in again.stderr
    assert tables(folder) == tables(done)


def _wait_for(folder: Path, pattern: str, seconds: float = 120.0) -> list[Path]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := list(folder.glob(pattern)):
            return found
        time.sleep(0.005)
    return []


@pytest.mark.slow
def test_runs_beside_each_other_give_the_same_table(toys, done, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    folder = tmp_path / "beside"
    command = [sys.executable, "-m", "save_avs", "study", "grid", str(toys), "--jobs", "2", "-o", str(folder)]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    assert tables(folder) == tables(done)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runs", "nothing"], "no run is called nothing"),
        (["stages.scenes.speed=1"], "stages.scenes.speed"),
        (["stages.scenes.init_from=nowhere"], "train it first"),
        (["--dry-run", "--report-only"], "give one of them"),
        (["--report-only"], "nothing to report"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(toys, tmp_path, capsys, arguments, said):
    folder = tmp_path / "out"
    assert main(["study", "grid", str(toys), *arguments, "-o", str(folder)]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.rglob("checkpoint-*")) and not (folder / "report").exists()


def test_a_folder_of_something_else_is_left_alone(toys, done, tmp_path, capsys):
    (tmp_path / "mine.txt").touch()
    assert main(["study", "grid", str(toys), "-o", str(tmp_path)]) == 2
    assert "holds no study" in capsys.readouterr().err
    assert main(["study", "starting-point", "-o", str(done), "--report-only"]) == 2
    assert "holds the study toys" in capsys.readouterr().err


def test_a_run_of_another_recipe_is_not_gone_on_with(toys, done, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(done, folder)
    assert (
        main(["study", "grid", str(toys), "stages.scenes.lr=2e-3", "-o", str(folder), "--runs", "none"]) == 2
    )
    assert "holds a run of another recipe" in capsys.readouterr().err
