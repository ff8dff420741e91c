"""evaluate_scenes: fit to the sounding objects, and marks under sounds that belong to none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from save_avs.evaluation import scenes
from save_avs.evaluation.scenes import SoundTrial, evaluate_scenes
from save_avs.synthesis.corpus import Corpus
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import tiny_model

SCENES = 16


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.load(make_corpus(tmp_path_factory.mktemp("corpus")), "test")


def as_if(monkeypatch: pytest.MonkeyPatch, answer) -> None:
    """Let the model answer each list of trials with masks of our choice."""

    def predict(model, frame, trials: list[SoundTrial]) -> torch.Tensor:
        return torch.stack([torch.from_numpy(answer(trials, t).astype(np.float32)) for t in trials])

    monkeypatch.setattr(scenes, "predict_trials", predict)


def test_perfect_model_scores_one_and_marks_nothing_else(monkeypatch, corpus) -> None:
    as_if(monkeypatch, lambda trials, trial: trial.target)
    report = evaluate_scenes(tiny_model(), corpus, scenes=SCENES, seed=1)
    fits = ("one source", "two sources", "all", "silent object's sound")
    assert all(report.metrics[name].value == 1.0 for name in fits)
    assert all(report.metrics[name].value == 0.0 for name in ("absent class", "silence", "faint noise"))
    assert report.f_score == pytest.approx(1.0, abs=1e-6)


def test_model_that_ignores_sound_is_detected(monkeypatch, corpus) -> None:
    as_if(monkeypatch, lambda trials, trial: trials[0].target)  # always the scene's own sources
    report = evaluate_scenes(tiny_model(), corpus, scenes=SCENES, seed=1)
    assert report.metrics["all"].value == 1.0
    assert report.metrics["silent object's sound"].value < 0.05
    assert report.metrics["absent class"].value > 0.02
    assert report.metrics["silence"].value > 0.02


def test_marked_share_of_a_model_that_marks_everything(monkeypatch, corpus) -> None:
    as_if(monkeypatch, lambda trials, trial: np.ones_like(trial.target))
    report = evaluate_scenes(tiny_model(), corpus, scenes=SCENES, seed=1)
    assert report.metrics["silence"].value == 1.0
    assert 0.0 < report.metrics["all"].value < 0.6


def test_metrics_depend_on_the_seed_alone(corpus) -> None:
    model = tiny_model()
    first, second = (evaluate_scenes(model, corpus, scenes=4, seed=3) for _ in range(2))
    assert first.metrics == second.metrics
    assert first.metrics != evaluate_scenes(model, corpus, scenes=4, seed=4).metrics


def test_saved_report(corpus, tmp_path: Path) -> None:
    report = evaluate_scenes(tiny_model(), corpus, scenes=5, seed=0)
    report.save(tmp_path / "report", {"model": "tiny", "split": "test"})
    document = json.loads((tmp_path / "report/report.json").read_text())
    assert document["metrics"]["silence"]["count"] == 5
    assert "digital silence" in (tmp_path / "report/report.md").read_text()
    assert report.table({"model": "tiny"}).startswith("model tiny; 5 scenes")
    with Image.open(tmp_path / "report/examples.png") as sheet:
        assert sheet.width >= 8 * 200 and sheet.height >= 2 * 200  # four pairs of images per row
