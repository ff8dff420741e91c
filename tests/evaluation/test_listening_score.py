"""The listening score: what it is, what leaves it alone, and what models without ears get."""

from __future__ import annotations

import numpy as np
import pytest

from save_avs.evaluation.audio_tagging import SoundSwapScores, listening_difference, listening_score


def hearings(right, wrong, per_source: int = 1) -> SoundSwapScores:
    names = tuple(f"v{i // per_source}" for i in range(len(right)))
    return SoundSwapScores(np.asarray(right, float), np.asarray(wrong, float), names)


def ious(seed: int, count: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=count)


def test_it_is_the_share_of_the_fit_that_goes_with_the_sound() -> None:
    assert listening_score(hearings([0.8, 0.4], [0.2, 0.1])).value == pytest.approx(1 - 0.15 / 0.6)


def test_a_deaf_model_scores_exactly_nothing_however_good_its_masks() -> None:
    score = listening_score(hearings(ious(0), ious(0)))
    assert (score.value, score.low, score.high) == (0, 0, 0)


def test_a_model_that_leaves_the_object_scores_one() -> None:
    score = listening_score(hearings(ious(0) + 0.01, np.zeros(40)))
    assert (score.value, score.low, score.high) == (1, 1, 1)


def test_a_model_that_marks_nothing_scores_nothing() -> None:
    assert listening_score(hearings(np.zeros(5), np.zeros(5))).value == 0


def test_one_that_fits_better_under_the_wrong_sound_is_not_below_nothing() -> None:
    assert listening_score(hearings([0.1, 0.2], [0.6, 0.5])).value == 0


def test_quality_alone_does_not_change_it() -> None:
    whole, half = (listening_score(hearings(f * ious(0), f * 0.3 * ious(1))) for f in (1.0, 0.5))
    assert whole.value == pytest.approx(half.value) and whole.low == pytest.approx(half.low)


def test_the_interval_is_wider_over_sources_than_over_frames() -> None:
    shared = np.repeat(ious(2, 10), 8)  # frames of a source are alike
    frames, sources = (listening_score(hearings(np.ones(80), shared, n)) for n in (1, 8))
    assert frames.low < frames.value < frames.high
    assert sources.high - sources.low > 1.5 * (frames.high - frames.low)


def test_models_are_compared_on_the_same_frames() -> None:
    better, worse = hearings(np.ones(30), 0.1 * ious(3, 30)), hearings(np.ones(30), 0.9 * ious(4, 30))
    found = listening_difference(worse, better)
    expected = listening_score(better).value - listening_score(worse).value
    assert found.value == pytest.approx(expected) and found.low > 0 and found.p < 0.001
    assert listening_difference(better, better).value == 0
    with pytest.raises(ValueError, match="same frames"):
        listening_difference(worse, hearings(np.ones(30), np.ones(30), 2))


def test_every_frame_needs_both() -> None:
    with pytest.raises(ValueError, match="each of the two sounds"):
        SoundSwapScores(np.ones(3), np.ones(2), ("a", "b", "c"))


def test_without_frames_nothing_is_said() -> None:
    assert np.isnan(listening_score(hearings([], [])).value)
