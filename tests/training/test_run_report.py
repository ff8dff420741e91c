"""The report of a run, made from its folder alone."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from save_avs.errors import UsageError
from save_avs.training.callbacks.callback import StepStats
from save_avs.training.callbacks.stage_recorder import StageRecorder
from save_avs.training.history import read_history
from save_avs.training.run_record import write_run_record
from save_avs.training.run_report import write_report
from tests.support.training_runs import (
    make_recipe,
    make_validation_image,
    training_row,
    validation_row,
    write_rows,
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A first stage in progress, with everything; a second one that has not started."""
    recipe = make_recipe(tmp_path / "run")
    write_run_record(recipe, processes=2)
    keeper = StageRecorder(recipe.out)
    keeper.on_stage_begin("1-scenes", 0, 400)
    keeper.on_step_end(StepStats(200, 400, 0.5, 1e-3, 40.0, 0.1, 10**9, 20.0))
    keeper.on_images(200, [make_validation_image(f"scene {k}") for k in range(3)])
    keeper.on_stage_end()
    rows = [training_row(step, skipped=1) for step in range(50, 201, 50)]
    write_rows(recipe.out / "1-scenes", [*rows, validation_row(200, 0.625)])
    bad = [{"item": k, "reason": f"<clip-{k % 23}> is torn"} for k in range(2 * 23)]  # two epochs
    write_rows(recipe.out / "1-scenes", bad, "bad_samples.jsonl")
    return recipe.out


def images(page: str, kind: str) -> list[bytes]:
    return [base64.b64decode(found) for found in re.findall(rf"data:{kind};base64,([^\"]+)", page)]


def test_report_shows_curves_metrics_images_and_record(run):
    page = write_report(run).read_text()
    (curves,) = images(page, r"image/svg\+xml")
    text = " ".join(ElementTree.fromstring(curves).itertext())
    for title in ("loss", "bce", "validation", "learning rate", "frames per second", "waiting", "memory"):
        assert title in text
    assert len(images(page, "image/png")) == 1
    for shown in ("200 / 400", "miou <b>0.625</b>", "in progress", "not started", "4 steps were skipped"):
        assert shown in page
    assert "23 samples could not be read" in page and "&lt;clip-19&gt;" in page and "clip-20" not in page
    assert "1-scenes: 0" in page and "extends" not in page


def test_report_is_self_contained(run):
    page = write_report(run).read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page) and "url(" not in page


def test_report_of_a_moved_run(run, tmp_path):
    moved = run.rename(tmp_path / "moved")
    assert "200 / 400" in write_report(moved).read_text()


def test_report_of_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"recipe\.yaml: no such recipe"):
        write_report(tmp_path)


def test_selected_validation_is_the_highest_monitored_or_the_last(tmp_path):
    recipe = make_recipe(tmp_path)
    figures = (float("nan"), 0.5, 0.5, 0.4)
    rows = [validation_row(step, figure) for step, figure in enumerate(figures, 1)]
    for stage in recipe.stages:
        write_rows(tmp_path / stage.name, rows)
    chosen = [read_history(recipe, stage).selected for stage in recipe.stages]
    assert [row and row["step"] for row in chosen] == [4, 2]
    assert (
        "kept: 2"
        in images(write_run_record(recipe) or write_report(tmp_path).read_text(), r"image/svg\+xml")[
            1
        ].decode()
    )


def test_history_separates_training_from_validation(tmp_path):
    recipe = make_recipe(tmp_path)
    rows = [training_row(50), validation_row(50, 0.1), training_row(100), validation_row(100, 0.2)]
    write_rows(tmp_path / "1-scenes", rows)
    history = read_history(recipe, recipe.stages[0])
    assert history.training == (rows[0], rows[2])
    assert history.validation == ({"step": 50, "miou": 0.1}, {"step": 100, "miou": 0.2})


def test_report_ignores_a_truncated_row(run):
    path = run / "1-scenes" / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 250, "lo')
    assert write_report(run).is_file()


def test_progress_adds_up_time_over_sessions(tmp_path, monkeypatch):
    clock = iter([0.0, 5.0, 100.0, 107.0])
    own = SimpleNamespace(monotonic=lambda: next(clock))  # other threads of the process have theirs
    monkeypatch.setattr("save_avs.training.callbacks.stage_recorder.time", own)
    recipe = make_recipe(tmp_path)
    for start in (0, 40):
        keeper = StageRecorder(tmp_path)
        keeper.on_stage_begin("1-scenes", start, 400)
        keeper.on_images(start, [make_validation_image()])
        keeper.on_images(start, [])  # a stage without masks draws none
        keeper.on_log({"step": start})
    history = read_history(recipe, recipe.stages[0])
    assert history.progress == (40, 400, 12.0)
    assert history.images == tmp_path / "1-scenes" / "validation_images.png"
