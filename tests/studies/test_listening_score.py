"""The listening score: its definition, its invariances, and the score of models that ignore sound."""

from __future__ import annotations

import numpy as np
import pytest

from studies.audio_sensitivity.listening_score import SoundSwapScores, listening_difference, listening_score


def swaps(right, wrong, per_source: int = 1) -> SoundSwapScores:
    names = tuple(f"v{i // per_source}" for i in range(len(right)))
    return SoundSwapScores(np.asarray(right, float), np.asarray(wrong, float), names)


def ious(seed: int, count: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=count)


def test_score_is_the_share_of_iou_lost_with_the_sound() -> None:
    assert listening_score(swaps([0.8, 0.4], [0.2, 0.1])).value == pytest.approx(1 - 0.15 / 0.6)


def test_score_of_a_model_that_ignores_sound_is_zero() -> None:
    score = listening_score(swaps(ious(0), ious(0)))
    assert (score.value, score.low, score.high) == (0, 0, 0)


def test_score_of_a_model_that_leaves_the_object_is_one() -> None:
    score = listening_score(swaps(ious(0) + 0.01, np.zeros(40)))
    assert (score.value, score.low, score.high) == (1, 1, 1)


def test_score_of_empty_masks_is_zero() -> None:
    assert listening_score(swaps(np.zeros(5), np.zeros(5))).value == 0


def test_score_is_clipped_at_zero() -> None:
    assert listening_score(swaps([0.1, 0.2], [0.6, 0.5])).value == 0


def test_score_does_not_depend_on_mask_quality() -> None:
    whole, half = (listening_score(swaps(f * ious(0), f * 0.3 * ious(1))) for f in (1.0, 0.5))
    assert whole.value == pytest.approx(half.value) and whole.low == pytest.approx(half.low)


def test_interval_is_wider_over_sources_than_over_frames() -> None:
    shared = np.repeat(ious(2, 10), 8)  # frames of a source are alike
    frames, sources = (listening_score(swaps(np.ones(80), shared, n)) for n in (1, 8))
    assert frames.low < frames.value < frames.high
    assert sources.high - sources.low > 1.5 * (frames.high - frames.low)


def test_difference_compares_models_on_the_same_frames() -> None:
    better, worse = swaps(np.ones(30), 0.1 * ious(3, 30)), swaps(np.ones(30), 0.9 * ious(4, 30))
    found = listening_difference(worse, better)
    expected = listening_score(better).value - listening_score(worse).value
    assert found.value == pytest.approx(expected) and found.low > 0 and found.p < 0.001
    assert listening_difference(better, better).value == 0
    with pytest.raises(ValueError, match="same frames"):
        listening_difference(worse, swaps(np.ones(30), np.ones(30), 2))


def test_missing_iou_is_an_error() -> None:
    with pytest.raises(ValueError, match="each of the two sounds"):
        SoundSwapScores(np.ones(3), np.ones(2), ("a", "b", "c"))


def test_score_without_frames_is_nan() -> None:
    assert np.isnan(listening_score(swaps([], [])).value)
