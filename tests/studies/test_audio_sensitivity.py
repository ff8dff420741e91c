"""The audio sensitivity study tells models that listen from models that do not."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from save_avs.datasets import open_dataset
from save_avs.errors import DataError
from save_avs.synthesis.corpus import Corpus
from studies.audio_sensitivity import clip_trials, run_audio_sensitivity, scene_trials
from studies.audio_sensitivity import trials as conditions
from studies.audio_sensitivity.results import SensitivityResults, mean_iou, mean_own_iou
from studies.audio_sensitivity.trials import SensitivityTrial, score_trials
from studies.cli import main as studies_main
from tests.support.audio_models import Dice, Ears, Salient, SalientWhenLoud
from tests.support.tiny_corpus import make_corpus

SCENES = 10


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.load(make_corpus(tmp_path_factory.mktemp("corpus")), "test")


@pytest.fixture(scope="module")
def trials(corpus: Corpus) -> list[list[SensitivityTrial]]:
    return list(scene_trials(corpus, scenes=SCENES, seed=5, side=64))


def results_of(model, trials) -> SensitivityResults:
    return SensitivityResults(tuple(s for part in trials for s in score_trials(model, part)))


def test_model_that_listens_scores_high_and_follows_the_sound(trials) -> None:
    results = results_of(Ears(), trials)
    assert results.listening(conditions.IN_VIEW, seed=0).value > 0.95
    assert results.listening(conditions.ABSENT, seed=0).value > 0.95
    assert mean_own_iou(results.under(conditions.MATCHED), seed=0).value > 0.7
    assert mean_iou(results.under(conditions.IN_VIEW), seed=0).value > 0.7
    assert all(s.area == 0 for s in results.under(conditions.MUTED))


@pytest.mark.parametrize("model", [Salient, SalientWhenLoud])
def test_model_that_ignores_sound_scores_zero(trials, model) -> None:
    results = results_of(model(), trials)
    assert mean_own_iou(results.under(conditions.MATCHED), seed=0).value > 0.3  # a good mask is no listening
    assert results.listening(conditions.IN_VIEW, seed=0).value < 0.02
    assert results.listening(conditions.ABSENT, seed=0).value < 0.02


def test_random_model_scores_low(trials) -> None:
    results = results_of(Dice(), trials)
    assert results.listening(conditions.ABSENT, seed=0).low < 0.1


def test_shift_moves_the_mask_to_the_later_source(trials) -> None:
    results = results_of(Ears(), trials)
    levels = results.levels(conditions.SHIFTED)
    first, last = (results.under(conditions.SHIFTED, level) for level in (levels[0], levels[-1]))
    assert mean_own_iou(first, seed=0).value > 0.7 and mean_iou(first, seed=0).value < 0.05
    assert mean_own_iou(last, seed=0).value < 0.05 and mean_iou(last, seed=0).value > 0.7


def test_every_condition_has_trials_with_fitting_targets(trials) -> None:
    asked = {t.condition for part in trials for t in part}
    assert asked >= {
        conditions.MATCHED,
        conditions.IN_VIEW,
        conditions.MUTED,
        conditions.NOISE,
        conditions.MIXED_NOISE,
        conditions.SHIFTED,
    }
    assert conditions.ABSENT in asked and conditions.MIXED in asked and conditions.DISTRACTORS in asked
    for part in trials:
        for trial in part:
            assert trial.own_target.any() and trial.target is not None
            if trial.condition in {conditions.ABSENT, conditions.MUTED, conditions.NOISE}:
                assert not trial.target.any()
            if trial.condition == conditions.IN_VIEW:
                assert trial.target.any() and not (trial.target & trial.own_target).any()


def test_scene_depends_on_seed_and_number_alone(corpus, trials) -> None:
    again = list(scene_trials(corpus, scenes=2, seed=5, side=64))
    for one, other in zip(again, trials, strict=False):
        assert [t.frame for t in one] == [t.frame for t in other]
        assert all((a.log_mel == b.log_mel).all() for a, b in zip(one, other, strict=True))


def test_report_is_reproducible_and_ranks_models(trials, tmp_path: Path) -> None:
    models = {"ears": Ears(), "eyes": Salient()}
    report = run_audio_sensitivity(models, trials, setting={"seed": "5"})
    assert report.markdown() == run_audio_sensitivity(models, trials, setting={"seed": "5"}).markdown()
    first = report.save(tmp_path / "report")

    def rows(name: str) -> list[dict[str, str]]:
        return list(csv.DictReader((first / f"{name}.csv").read_text().splitlines()))

    scores = {row["model"]: float(row["listening (another in view)"]) for row in rows("scores")}
    assert scores["ears"] > 0.95 and scores["eyes"] < 0.02
    assert scores["marks everything"] == scores["marks nothing"] == 0
    assert scores["marks the center when loud"] < 0.02
    compared = rows("comparison")[0]
    assert compared["model"] == "eyes" and float(compared["difference in listening high"]) < 0
    assert {row["class"] for row in rows("by_class")} <= {"square", "disc", "ring", "bar"}
    assert (first / "images/examples.png").is_file()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    made = ("--layout", "s4", "--split", "test", "--count", "4", "--size", "64x64")
    assert studies_main(["compose", str(make_corpus(root / "corpus")), "-o", str(root / "s4"), *made]) == 0
    return root / "s4"


def test_other_clip_has_no_class_of_the_clip(tree: Path) -> None:
    clips = open_dataset("s4", tree, "test")
    parts = list(clip_trials(clips, seed=0))
    categories = {clips.metadata(i).categories for i in range(len(clips))}
    swapped = [t for part in parts for t in part if t.condition == conditions.OTHER_CLIP]
    assert len(categories) > 1 and swapped
    for trial in swapped:
        assert trial.description not in trial.frame.classes and trial.target is None
    frame = next(part for part in parts if conditions.OTHER_CLIP in {t.condition for t in part})
    matched, other = (
        next(t for t in frame if t.condition == c) for c in (conditions.MATCHED, conditions.OTHER_CLIP)
    )
    assert (
        not np.allclose(matched.log_mel, other.log_mel, atol=0.5)
        and (matched.own_target == other.own_target).all()
    )


def test_listening_score_on_clips(tree: Path) -> None:
    clips = open_dataset("s4", tree, "test")
    parts = list(clip_trials(clips, seed=0))
    ears, eyes = (results_of(model(), parts) for model in (Ears, Salient))
    assert ears.listening(conditions.OTHER_CLIP, seed=0).value > 0.9
    assert eyes.listening(conditions.OTHER_CLIP, seed=0).value == 0


def test_single_clip_cannot_be_swapped(tree: Path) -> None:
    clips = open_dataset("s4", tree, "test")
    lone = type(clips)(clips.name, clips.split, clips.classes, clips.entries[:1])
    with pytest.raises(DataError, match="nothing to swap"):
        run_audio_sensitivity({"ears": Ears()}, clip_trials(lone, seed=0), setting={})
