"""A grid study on the clips of a data set: the same declaration with another recipe."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from save_avs.datasets import open_dataset
from save_avs.evaluation.benchmark import evaluate_clips
from save_avs.runtimes import load_model
from save_avs.synthesis.corpus import Corpus
from save_avs.training.stage_setup import Splits
from studies import budget
from studies.cli import main
from studies.composed_benchmarks.clips import LayoutRequest
from studies.composed_benchmarks.layouts import LAYOUT_WRITERS, write_layout
from studies.curves import draw_curves
from tests.support.study_runs import make_study
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import tiny_config
from tests.support.training_clips import Clips, clip_stage, make_clip

pytestmark = pytest.mark.exhaustive

CLIPS = 3


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def recipe(home: Path) -> Path:
    """A recipe on an S4 tree composed of the micro corpus."""
    root = make_corpus(home / "corpus-s4")
    corpora = {split: Corpus.load(root, split) for split in LAYOUT_WRITERS["s4"].splits}
    write_layout("s4", LayoutRequest(corpora, count=CLIPS, size=(32, 32)), home / "avs")
    stage = {
        "task": "avs",
        "data": {"name": "s4", "root": str(home / "avs")},
        "steps": 2,
        "batch_size": 2,
        "lr": 1e-3,
    }
    config = tiny_config(name="toy").model_dump(mode="json", exclude={"classes", "pretrained", "semantic"})
    content = {
        "model": config,
        "out": "unused",
        "precision": "fp32",
        "workers": 0,
        "stages": {"train": stage},
    }
    file = home / "s4.yaml"
    file.write_text(json.dumps(content))
    return file


def test_grid_is_scored_on_the_test_clips(home, recipe, tmp_path):
    study, folder = make_study(home), tmp_path / "s4"
    assert main(["grid", str(study), "--recipe", str(recipe), "-o", str(folder)]) == 0
    with (folder / "report/quality.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["variant"] for row in rows] == ["both", "image", "none"]
    assert [row["mIoU count"] for row in rows] == [str(2 * CLIPS), str(CLIPS), str(CLIPS)]
    model = load_model(folder / "image-seed0/train/model", precision="fp32")
    report = evaluate_clips(model, open_dataset("s4", home / "avs", "test"), ["official"])
    official = report.scores[0].overall.scores
    assert float(rows[1]["mIoU"]) == pytest.approx(official["miou"].value, abs=1e-6)
    assert float(rows[1]["F"]) == pytest.approx(official["f"].value, abs=1e-6)
    sizes = (folder / "report/sizes.csv").read_text()
    assert sizes.startswith("variant,") and not (folder / "report/sounds.csv").exists()

    figure = draw_curves([folder / "both-seed0", folder / "both-seed1", folder / "none-seed0"], 5)
    loss, miou = ([line for line in axes.lines if len(line.get_xdata())] for axes in figure.axes)
    logged = [json.loads(row) for row in (folder / "none-seed0/train/metrics.jsonl").read_text().splitlines()]
    assert [list(line.get_xdata()) for line in loss] == [
        [2 * 2 * 5]
    ] * 3  # two steps of two clips of five frames
    assert loss[2].get_ydata()[0] == next(row["loss"] for row in logged if "loss" in row)
    assert miou[2].get_ydata()[-1] == [row["val_miou"] for row in logged if "val_miou" in row][-1]
    assert loss[0].get_color() == loss[1].get_color() != loss[2].get_color()


def test_prompts_need_composed_scenes(home, recipe, tmp_path, capsys):
    code = main(["starting-point", "--recipe", str(recipe), "-o", str(tmp_path / "out")])
    assert code == 2 and "composed scenes" in capsys.readouterr().err


def test_frames_of_a_step_are_the_annotated_frames_of_its_clips(monkeypatch):
    clips = Clips([make_clip(0, frames=4), make_clip(1, frames=3, annotated=1)])
    monkeypatch.setattr(budget, "open_splits", lambda *_: Splits(clips, clips))
    assert budget.frames_per_step(clip_stage(batch_size=2)) == 5
    assert budget.count_frames(clip_stage(steps=6, batch_size=3)) == 45
    assert budget.frames_per_step(clip_stage(batch_size=None, batch_frames=3)) == 3
    monkeypatch.setattr(Clips, "num_annotated", lambda *_: None)
    assert budget.frames_per_step(clip_stage(batch_size=2)) == 2  # videos
