"""Trackers: files that are read back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from save_avs._extras import install_line
from save_avs.errors import UsageError
from save_avs.training.callbacks.trackers import TrackerCallback, grouped, session_name
from save_avs.training.recipe import RecipeError, load_recipe
from save_avs.training.recipe_check import check_recipe
from tests.support.training_runs import make_recipe, make_validation_image, training_row, validation_row


def read_back(out: Path, stage: str) -> EventAccumulator:
    events = EventAccumulator(str(out / "tensorboard" / stage), size_guidance={"images": 0, "scalars": 0})
    return events.Reload()


def steps(events: EventAccumulator, tag: str) -> list[int]:
    return [event.step for event in events.Scalars(tag)]


def test_tensorboard_receives_metrics_and_images(tmp_path):
    callback = TrackerCallback(tmp_path, ["tensorboard"])
    callback.on_stage_begin("1-scenes", 0, 100)
    callback.on_log(training_row(50, loss=0.25))
    callback.on_log(validation_row(50, 0.5))
    callback.on_images(50, [make_validation_image(), make_validation_image("clip-1")])
    callback.on_images(50, [])  # a stage without masks
    callback.on_stage_end()
    events = read_back(tmp_path, "1-scenes")
    assert events.Scalars("train/loss")[0].value == 0.25 and events.Scalars("val/miou")[0].value == 0.5
    assert events.Tags()["images"] == ["masks/0", "masks/1"]
    (image,) = events.Images("masks/1")
    assert (image.step, image.height, image.width) == (50, 64, 3 * 64)


def test_tensorboard_has_steps_once_after_a_resume(tmp_path):
    for start, rows in (
        (0, (50, 100, 150)),
        (100, (150, 200)),
    ):  # killed after 150, its checkpoint was of 100
        callback = TrackerCallback(tmp_path, ["tensorboard"])
        callback.on_stage_begin("1-scenes", start, 200)
        for step in rows:
            callback.on_log(training_row(step))
        callback.on_stage_end()
    assert steps(read_back(tmp_path, "1-scenes"), "train/loss") == [50, 100, 150, 200]


def test_tensorboard_of_a_restarted_stage_has_new_steps_only(tmp_path):
    for last in (150, 100):
        callback = TrackerCallback(tmp_path, ["tensorboard"])
        callback.on_stage_begin("1-scenes", 0, 200)
        for step in range(50, last + 1, 50):
            callback.on_log(training_row(step))
        callback.on_stage_end()
    assert steps(read_back(tmp_path, "1-scenes"), "train/loss") == [50, 100]


def test_tensorboard_separates_stages(tmp_path):
    callback = TrackerCallback(tmp_path, ["tensorboard"])
    for stage in ("1-scenes", "2-clips"):
        callback.on_stage_begin(stage, 0, 50)
        callback.on_log(training_row(50))
        callback.on_stage_end()
    assert [steps(read_back(tmp_path, stage), "train/lr") for stage in ("1-scenes", "2-clips")] == [
        [50],
        [50],
    ]


def test_grouped_drops_nan():
    row = {"step": 5, "loss": 1, "val_miou": 0.5, "val_marked_without_source": float("nan")}
    assert grouped(row) == {"train/loss": 1.0, "val/miou": 0.5}


def test_session_name_has_the_resumed_step():
    assert (session_name("a", 0), session_name("a", 40)) == ("a", "a from step 40")


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_missing_tracker_extra_is_one_line(name, tmp_path, monkeypatch):
    monkeypatch.setattr("save_avs._extras.find_spec", lambda _: None)
    line = f"{name} is not installed: {install_line(name)}"
    with pytest.raises(UsageError) as caught:
        TrackerCallback(tmp_path, [name])
    assert str(caught.value) == line
    assert line in check_recipe(make_recipe(tmp_path, trackers=[name])).problems


def test_folder_named_as_a_tracker_is_not_a_package(tmp_path, monkeypatch):
    (tmp_path / "mlflow").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    with pytest.raises(UsageError, match="mlflow is not installed"):
        TrackerCallback(tmp_path, ["mlflow"])


def test_unknown_tracker_is_refused(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("model: {name: tiny}\nout: x\nstages: []\ntrackers: [tensorbord]\n")
    with pytest.raises(RecipeError, match=r"trackers\.0: Input should be 'tensorboard', 'wandb' or 'mlflow'"):
        load_recipe(path)


@pytest.mark.parametrize(
    ("name", "left"), [("wandb", "wandb/offline-run-*"), ("mlflow", "mlflow/*/artifacts/images/*.png")]
)
def test_other_trackers_write_offline(name, left, tmp_path):
    pytest.importorskip(name, reason=f"the extra {name} is not installed")
    callback = TrackerCallback(tmp_path, [name])
    callback.on_stage_begin("1-scenes", 0, 100)
    callback.on_log(training_row(50))
    callback.on_images(50, [make_validation_image()])
    callback.on_stage_end()
    assert list(tmp_path.glob(left))
