"""Does the study tell those that listen from those that do not?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from save_avs.cli import main
from save_avs.datasets import open_dataset
from save_avs.errors import DataError
from save_avs.synthesis.corpus import Corpus
from studies.audio_sensitivity import study_listening
from studies.audio_sensitivity import trials as kinds
from studies.audio_sensitivity.clips import clip_trials
from studies.audio_sensitivity.results import Results, listening, mean_heard, mean_own
from studies.audio_sensitivity.scenes import scene_trials
from studies.audio_sensitivity.trials import Trial, answer
from tests.support.audio_models import Dice, Ears, Salient, SalientWhenLoud
from tests.support.tiny_corpus import make_corpus

SCENES = 14


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.load(make_corpus(tmp_path_factory.mktemp("corpus")), "test")


@pytest.fixture(scope="module")
def trials(corpus: Corpus) -> list[list[Trial]]:
    return list(scene_trials(corpus, scenes=SCENES, seed=5, side=64))


def results_of(model, trials) -> Results:
    return Results(tuple(a for part in trials for a in answer(model, part)))


def test_one_that_listens_scores_high_and_follows_the_sound(trials) -> None:
    results = results_of(Ears(), trials)
    assert listening(results, kinds.IN_VIEW, seed=0).mean > 0.95
    assert listening(results, kinds.ABSENT, seed=0).mean > 0.95
    assert mean_own(results.under(kinds.MATCHED), seed=0).mean > 0.7
    assert mean_heard(results.under(kinds.IN_VIEW), seed=0).mean > 0.7
    assert all(a.area == 0 for a in results.under(kinds.MUTED))


@pytest.mark.parametrize("model", [Salient, SalientWhenLoud])
def test_one_that_only_sees_scores_nothing(trials, model) -> None:
    results = results_of(model(), trials)
    assert mean_own(results.under(kinds.MATCHED), seed=0).mean > 0.3  # a good mask is no listening
    assert listening(results, kinds.IN_VIEW, seed=0).mean < 0.02
    assert listening(results, kinds.ABSENT, seed=0).mean < 0.02


def test_dice_are_no_ears(trials) -> None:
    results = results_of(Dice(), trials)
    assert listening(results, kinds.ABSENT, seed=0).low < 0.1


def test_a_shift_turns_the_mask_over_to_what_sounds_later(trials) -> None:
    results = results_of(Ears(), trials)
    levels = results.levels(kinds.SHIFTED)
    first, last = (results.under(kinds.SHIFTED, level) for level in (levels[0], levels[-1]))
    assert mean_own(first, seed=0).mean > 0.7 and mean_heard(first, seed=0).mean < 0.05
    assert mean_own(last, seed=0).mean < 0.05 and mean_heard(last, seed=0).mean > 0.7


def test_every_condition_is_asked_and_its_truth_fits(trials) -> None:
    asked = {t.condition for part in trials for t in part}
    assert asked >= {kinds.MATCHED, kinds.IN_VIEW, kinds.MUTED, kinds.NOISE, kinds.MIXED_NOISE, kinds.SHIFTED}
    assert kinds.ABSENT in asked and kinds.MIXED in asked and kinds.DISTRACTORS in asked
    for part in trials:
        for trial in part:
            assert trial.own.any() and trial.heard is not None
            if trial.condition in {kinds.ABSENT, kinds.MUTED, kinds.NOISE}:
                assert not trial.heard.any()
            if trial.condition == kinds.IN_VIEW:
                assert trial.heard.any() and not (trial.heard & trial.own).any()


def test_a_scene_depends_on_seed_and_number_alone(corpus, trials) -> None:
    again = list(scene_trials(corpus, scenes=2, seed=5, side=64))
    for one, other in zip(again, trials, strict=False):
        assert [t.item for t in one] == [t.item for t in other]
        assert all((a.patch == b.patch).all() for a, b in zip(one, other, strict=True))


def test_the_report_says_it_all_and_twice_the_same(trials, tmp_path: Path) -> None:
    models = {"ears": Ears(), "eyes": Salient()}
    reports = [study_listening(models, trials, setting={"seed": "5"}) for _ in range(2)]
    for name, report in zip(("first", "second"), reports, strict=True):
        report.save(tmp_path / name)
    first, second = ((tmp_path / n / "report.json").read_text() for n in ("first", "second"))
    assert first == second
    sheets = json.loads(first)["sheets"]
    scores = {row["model"]: row["listening (another in view)"]["mean"] for row in sheets["scores"]["rows"]}
    assert scores["ears"] > 0.95 and scores["eyes"] < 0.02
    assert scores["marks everything"] == scores["marks nothing"] == 0
    assert scores["marks the middle when it is loud"] < 0.02
    (compared, *_) = sheets["comparison"]["rows"]
    assert compared["model"] == "eyes" and compared["difference in listening"]["high"] < 0
    assert {row["class"] for row in sheets["by_class"]["rows"]} <= {"square", "disc", "ring", "bar"}
    assert (tmp_path / "first/pictures/examples.png").is_file()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    made = ("--layout", "s4", "--split", "test", "--count", "4", "--size", "64x64")
    assert main(["data", "compose", str(make_corpus(root / "corpus")), "-o", str(root / "s4"), *made]) == 0
    return root / "s4"


def test_clips_are_heard_with_the_sound_of_others_of_no_class_of_theirs(tree: Path) -> None:
    clips = open_dataset("s4", tree, "test")
    parts = list(clip_trials(clips, seed=0))
    categories = {clips.metadata(i).categories for i in range(len(clips))}
    swapped = [t for part in parts for t in part if t.condition == kinds.OTHER_CLIP]
    assert len(categories) > 1 and swapped
    for trial in swapped:
        assert trial.sound not in trial.item.classes and trial.heard is None
    frame = next(part for part in parts if kinds.OTHER_CLIP in {t.condition for t in part})
    matched, other = (next(t for t in frame if t.condition == c) for c in (kinds.MATCHED, kinds.OTHER_CLIP))
    assert not np.allclose(matched.patch, other.patch, atol=0.5) and (matched.own == other.own).all()


def test_listening_on_clips(tree: Path) -> None:
    clips = open_dataset("s4", tree, "test")
    parts = list(clip_trials(clips, seed=0))
    ears, eyes = (results_of(model(), parts) for model in (Ears, Salient))
    assert listening(ears, kinds.OTHER_CLIP, seed=0).mean > 0.9
    assert listening(eyes, kinds.OTHER_CLIP, seed=0).mean == 0


def test_a_single_clip_cannot_be_swapped(tree: Path) -> None:
    clips = open_dataset("s4", tree, "test")
    lone = type(clips)(clips.name, clips.split, clips.classes, clips.entries[:1])
    with pytest.raises(DataError, match="nothing to swap"):
        study_listening({"ears": Ears()}, clip_trials(lone, seed=0), setting={})
