"""AVSS scores equal their definition, which score_oracle.py has from the formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from save_avs.metrics.semantic_scores import SemanticMetric, class_scores, score_semantic
from tests.support.metric_oracle import class_means

CLASSES = 7
NEVER = 5  # a class that occurs nowhere


def draw(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Twelve frames of blocks of labels: some right, some wrong, some empty on one side or the other."""
    rng = np.random.default_rng(seed)
    labels = np.array([0, 1, 2, 3, 4, 6])
    truth = rng.choice(labels, size=(12, 3, 3)).repeat(4, axis=1).repeat(4, axis=2)
    wrong = rng.random(truth.shape) < 0.4
    found = np.where(wrong, rng.choice(labels, size=truth.shape), truth)
    truth[3] = 0  # nothing sounds
    found[4] = 0  # nothing predicted
    truth[5] = found[5] = 0
    return found, truth


def metric_of(found: np.ndarray, truth: np.ndarray, clips: list[int] | None = None) -> SemanticMetric:
    metric = SemanticMetric(CLASSES)
    clips = [i // 3 for i in range(len(found))] if clips is None else clips
    metric.update(torch.from_numpy(found), torch.from_numpy(truth), clips)
    return metric


def expected(found: np.ndarray, truth: np.ndarray, keep: slice = slice(None)) -> dict[str, float]:
    ious, scores = class_means(list(found), list(truth), CLASSES)
    return {"miou": float(np.mean(ious[keep])), "f": float(np.mean(scores[keep]))}


@pytest.mark.parametrize(
    ("variant", "keep"),
    [
        ("official", slice(None)),
        ("official-no-background", slice(None, -1)),  # the public code leaves the last class out
        ("no-background", slice(1, None)),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_class_subset_equals_its_oracle(variant, keep: slice, seed: int) -> None:
    found, truth = draw(seed)
    assert metric_of(found, truth).compute(variant) == pytest.approx(expected(found, truth, keep))


def test_official_no_background_keeps_the_background() -> None:
    truth = np.zeros((2, 4, 4), np.int64)
    metric = metric_of(truth, truth, [0, 1])  # nothing but background, all of it right
    assert metric.compute("official-no-background")["miou"] == pytest.approx(1 / (CLASSES - 1))
    assert metric.compute("no-background") == {"miou": 0.0, "f": 0.0}


@pytest.mark.parametrize("empty", ["truth", "found"])
def test_empty_prediction_or_target_scores_the_background_only(empty: str) -> None:
    found, truth = draw()
    (truth if empty == "truth" else found)[:] = 0
    assert metric_of(found, truth).compute() == pytest.approx(expected(found, truth))
    assert (score_semantic(metric_of(found, truth).table(), "f", "no-background")) == 0.0


def test_absent_class_counts_as_zero_and_has_a_nan_class_score() -> None:
    found, truth = draw()
    each = class_scores(metric_of(found, truth).table(), "miou")
    assert np.isnan(each[NEVER]) and np.isnan(each).sum() == 1
    ious, scores = class_means(list(found), list(truth), CLASSES)
    np.testing.assert_allclose(np.nan_to_num(each), ious)
    np.testing.assert_allclose(np.nan_to_num(class_scores(metric_of(found, truth).table(), "f")), scores)


def test_semantic_metric_takes_frames_in_any_order() -> None:
    found, truth = draw()
    clips = [i // 3 for i in range(12)]
    order = [*range(1, 12, 2), *range(0, 12, 2)]
    shuffled = metric_of(found[order], truth[order], [clips[i] for i in order])
    assert shuffled.compute() == pytest.approx(metric_of(found, truth, clips).compute())
    assert shuffled.table().clips.tolist() == [0, 1, 2, 3]


def test_score_semantic_of_draws_equals_a_data_set_of_them() -> None:
    found, truth = draw()
    table = metric_of(found, truth).table()
    draws = np.array([[0, 0, 2, 3], [3, 1, -1, -1]])
    for measure in ("miou", "f"):
        values = score_semantic(table, measure, "no-background", draws)
        for row, value in zip(draws, values, strict=True):
            frames = [3 * clip + k for clip in row if clip >= 0 for k in range(3)]
            assert value == pytest.approx(expected(found[frames], truth[frames], slice(1, None))[measure])


def test_semantic_table_join_holds_the_clips_of_both() -> None:
    found, truth = draw()
    whole, empty = metric_of(found, truth).table(), SemanticMetric(CLASSES).table()
    both = whole.join(whole)
    assert both.clips.tolist() == [0, 1, 2, 3] * 2
    assert score_semantic(both, "f") == pytest.approx(score_semantic(whole, "f"))
    assert len(empty) == 0 and np.isnan(score_semantic(empty, "f"))


def test_semantic_metric_accepts_different_sizes() -> None:
    metric = SemanticMetric(CLASSES)
    metric.update(torch.ones(1, 2, 2, dtype=torch.uint8), torch.ones(1, 2, 2, dtype=torch.uint8), [0])
    metric.update(torch.zeros(1, 5, 3, dtype=torch.int64), torch.ones(1, 5, 3, dtype=torch.uint8), [1])
    assert class_scores(metric.table(), "miou")[:2].tolist() == [0.0, 0.5]
    assert np.isnan(SemanticMetric(CLASSES).compute()["miou"])


def test_semantic_metric_refuses_invalid_input() -> None:
    metric, labels = SemanticMetric(3), torch.zeros(2, 4, 4, dtype=torch.int64)
    with pytest.raises(ValueError, match="labels must be 0 to 2, got 3"):
        metric.update(labels, labels + 3, [0, 0])
    with pytest.raises(ValueError, match=r"must be \[B,H,W\]"):
        metric.update(labels, labels[:, :2], [0, 0])
    with pytest.raises(ValueError, match=r"clips \[B\]"):
        metric.update(labels, labels, [0])
