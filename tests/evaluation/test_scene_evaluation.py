"""Does the evaluation measure fit and listening, and nothing else?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from save_avs.evaluation import evaluate_scenes, save_scene_report, scene_table, scenes
from save_avs.evaluation.scenes import Trial
from save_avs.synthesis.corpus import Corpus
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import tiny_model

SCENES = 24


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.load(make_corpus(tmp_path_factory.mktemp("corpus")), "test")


def as_if(monkeypatch: pytest.MonkeyPatch, answer) -> None:
    """Let the model answer each list of trials with masks of our choice."""

    def run(model, picture, trials: list[Trial]) -> torch.Tensor:
        return torch.stack([torch.from_numpy(answer(trials, t).astype(np.float32)) for t in trials])

    monkeypatch.setattr(scenes, "run_trials", run)


def test_a_model_that_is_right_scores_one_and_marks_nothing_else(monkeypatch, corpus) -> None:
    as_if(monkeypatch, lambda trials, trial: trial.truth)
    report = evaluate_scenes(tiny_model(), corpus, scenes=SCENES, seed=1)
    fits = ("one source", "two sources", "all", "silent object's sound")
    assert all(report.figures[name].mean == 1.0 for name in fits)
    assert all(report.figures[name].mean == 0.0 for name in ("absent class", "silence", "faint noise"))
    assert report.f_score == pytest.approx(1.0, abs=1e-6)


def test_a_deaf_model_is_found_out(monkeypatch, corpus) -> None:
    as_if(monkeypatch, lambda trials, trial: trials[0].truth)  # always the scene's own sources
    report = evaluate_scenes(tiny_model(), corpus, scenes=SCENES, seed=1)
    assert report.figures["all"].mean == 1.0
    assert report.figures["silent object's sound"].mean < 0.05
    assert report.figures["absent class"].mean > 0.02
    assert report.figures["silence"].mean > 0.02


def test_marking_everything_is_counted_as_area(monkeypatch, corpus) -> None:
    as_if(monkeypatch, lambda trials, trial: np.ones_like(trial.truth))
    report = evaluate_scenes(tiny_model(), corpus, scenes=SCENES, seed=1)
    assert report.figures["silence"].mean == 1.0
    assert 0.0 < report.figures["all"].mean < 0.6


def test_the_same_seed_gives_the_same_figures_of_a_real_model(corpus) -> None:
    model = tiny_model()
    first, second = (evaluate_scenes(model, corpus, scenes=4, seed=3) for _ in range(2))
    assert first.figures == second.figures
    assert first.figures != evaluate_scenes(model, corpus, scenes=4, seed=4).figures


def test_the_report_is_written_and_reads_back(corpus, tmp_path: Path) -> None:
    report = evaluate_scenes(tiny_model(), corpus, scenes=5, seed=0)
    save_scene_report(report, {"model": "tiny", "split": "test"}, tmp_path / "report")
    facts = json.loads((tmp_path / "report/report.json").read_text())
    assert facts["figures"]["silence"]["count"] == 5
    assert "digital silence" in (tmp_path / "report/report.md").read_text()
    assert scene_table(report, {"model": "tiny"}).startswith("model tiny; 5 scenes")
    with Image.open(tmp_path / "report/examples.png") as sheet:
        assert sheet.width == 8 * 64  # four pairs of pictures a row
