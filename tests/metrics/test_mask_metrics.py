"""Scores of single frames, and what a metric collects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from save_avs.metrics.frame_scores import frame_counts, frame_f_curves, mask_ious
from save_avs.metrics.mask_metrics import MaskMetric, best_f_score
from save_avs.metrics.protocols import PROTOCOLS, FrameScoring
from tests.support.metric_oracle import frame_f, frame_iou

DATASET, OFFICIAL = PROTOCOLS["dataset"], PROTOCOLS["official"]


def frames(b: int, seed: int, empty: tuple[int, ...] = (), h: int = 6, w: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.rand(b, h, w, generator=generator) > 0.6
    logits = 2 * torch.randn(b, h, w, generator=generator) + 2 * targets - 1
    for i in empty:
        targets[i] = False
    return logits, targets


def test_mask_ious_of_hand_made_frames() -> None:
    probs, targets = torch.zeros(4, 2, 2), torch.zeros(4, 2, 2, dtype=torch.bool)
    probs[0, 0] = 0.9  # two pixels marked, one of them right, one missed
    targets[0, :, 0] = True
    targets[1, 0, 0] = True  # missed altogether
    probs[2, 0, 0] = 0.9  # nothing sounds: three pixels of four rightly left out
    counts = frame_counts(probs, targets)
    assert counts.tolist() == [[1, 2, 2, 4], [0, 0, 1, 4], [0, 1, 0, 4], [0, 0, 0, 4]]
    np.testing.assert_allclose(mask_ious(counts), [1 / 3, 0.0, 3 / 4, 1.0], atol=1e-6)


def test_frame_counts_threshold_is_exclusive() -> None:
    probs, targets = torch.full((1, 2, 2), 0.5), torch.ones(1, 2, 2, dtype=torch.bool)
    assert mask_ious(frame_counts(probs, targets)).item() == 0.0
    assert mask_ious(frame_counts(probs, targets, 0.4)).item() == pytest.approx(1.0)


def test_frame_f_curves_of_a_hand_made_frame() -> None:
    probs = torch.tensor([[[1.0, 0.6], [0.4, 0.0]]])
    targets = torch.tensor([[[True, False], [True, False]]])
    curve = frame_f_curves(probs, targets)[0]
    everything = 1.3 * 0.5 * 1.0 / (0.3 * 0.5 + 1.0)
    best = 1.3 * (2 / 3) * 1.0 / (0.3 * (2 / 3) + 1.0)
    one_of_two = 1.3 * 1.0 * 0.5 / (0.3 * 1.0 + 0.5)
    assert curve[0].item() == pytest.approx(everything)
    assert curve[50].item() == pytest.approx(best)
    assert curve[200].item() == pytest.approx(one_of_two)
    assert curve[254].item() == pytest.approx(one_of_two)  # a probability of exactly 1 reaches the last


levels = st.sampled_from([0.0, 0.25, 0.5, 1.0, 1 / 254, 127 / 254, 253 / 254]) | st.floats(0, 1, width=32)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(levels, st.booleans()), min_size=12, max_size=12))
def test_frame_scores_equal_their_formulas(pixels: list[tuple[float, bool]]) -> None:
    probs = torch.tensor([p for p, _ in pixels]).reshape(2, 2, 3)
    targets = torch.tensor([t for _, t in pixels]).reshape(2, 2, 3)
    curves, scores = frame_f_curves(probs, targets).numpy(), mask_ious(frame_counts(probs, targets))
    for prob, truth, curve, score in zip(probs.numpy(), targets.numpy(), curves, scores, strict=True):
        assert score == pytest.approx(frame_iou(prob > 0.5, truth), abs=1e-6)
        if truth.any():
            np.testing.assert_allclose(curve, frame_f(prob, truth), atol=1e-6)
        else:
            assert np.isnan(curve).all()


def test_best_f_score_ignores_frames_without_a_curve() -> None:
    curves = np.array([[0.2, 0.4], [np.nan, np.nan], [0.6, 0.0]])
    assert best_f_score(curves) == pytest.approx(0.4)
    assert np.isnan(best_f_score(curves[1:2]))


def test_mask_metric_takes_frames_in_any_order() -> None:
    logits, targets = frames(12, seed=6, empty=(4,))
    clips, positions = torch.arange(12) // 3, torch.arange(12) % 3
    one, whole = MaskMetric(), MaskMetric()
    one.update(logits, targets, clips, positions)
    for part in (slice(1, None, 2), slice(0, None, 2)):
        whole.update(logits[part], targets[part], clips[part], positions[part])
    for name in ("dataset", "official", "official-batch4", "cavp"):
        assert whole.compute(PROTOCOLS[name]) == pytest.approx(one.compute(PROTOCOLS[name]), abs=1e-12)
    table = whole.table()
    assert sorted(zip(table.clips, table.positions, strict=True)) == [(i // 3, i % 3) for i in range(12)]


def test_mask_metric_without_frames_is_nan() -> None:
    metric = MaskMetric()
    for protocol in PROTOCOLS.values():
        if protocol.scoring == FrameScoring() or protocol.scoring.size == 224:
            assert all(np.isnan(score) for score in metric.compute(protocol).values())
    metric.update(*frames(2, seed=7), clips=[0, 0])
    assert metric.compute(DATASET)["miou"] > 0
    metric.update(torch.zeros(0, 4, 4), torch.zeros(0, 4, 4, dtype=torch.bool), clips=[])
    assert len(metric.table()) == 2


def test_mask_metric_accepts_frames_of_different_sizes() -> None:
    metric = MaskMetric()
    small, large = frames(2, seed=8), frames(1, seed=9, h=12, w=5)
    metric.update(*small, clips=[0, 0])
    metric.update(*large, clips=[1])
    pairs = [(x, t) for logits, targets in (small, large) for x, t in zip(logits, targets, strict=True)]
    curves = [frame_f(x.sigmoid().numpy(), t.numpy()) for x, t in pairs]
    assert metric.compute(DATASET)["f"] == pytest.approx(np.mean(curves, axis=0).max(), abs=1e-6)


def test_clip_table_sums_each_clips_own_frames() -> None:
    metric = MaskMetric()
    logits, targets = frames(4, seed=11, empty=(3,))
    metric.update(logits, targets, clips=[5, 2, 5, 2])
    table = metric.table().by_clip()
    assert table.clips.tolist() == [2, 5]
    assert table.frames.tolist() == [2, 2] and table.sounding.tolist() == [1, 2]
    assert table.pixels.sum() == targets.numel()
    single = mask_ious(frame_counts(logits.sigmoid(), targets))
    np.testing.assert_allclose(table.iou, [single[1] + single[3], single[0] + single[2]])


def test_mask_metric_refuses_invalid_input() -> None:
    logits, targets = frames(2, seed=10)
    metric = MaskMetric()
    with pytest.raises(ValueError, match="bool"):
        metric.update(logits, targets.float(), clips=[0, 0])
    with pytest.raises(ValueError, match=r"\[B,H,W\]"):
        metric.update(logits[0], targets[0], clips=[0] * len(logits[0]))
    with pytest.raises(ValueError, match="NaN"):
        metric.update(torch.full_like(logits, torch.nan), targets, clips=[0, 0])
    with pytest.raises(ValueError, match="one entry per frame"):
        metric.update(logits, targets, clips=[0])
    with pytest.raises(ValueError, match="another frame scoring"):
        metric.compute(PROTOCOLS["gavs"])


def test_frame_f_curves_thresholds_are_exact_to_the_last_bit() -> None:
    thresholds = torch.linspace(0, 1 - 1e-10, 255)
    infinity = torch.tensor(torch.inf)
    beside = [thresholds.nextafter(infinity), thresholds.nextafter(-infinity)]
    outside = [1e4 * thresholds - 5e3, infinity[None], -infinity[None]]
    values = torch.cat([thresholds, *beside, *outside])[None, None]
    curve = frame_f_curves(values, torch.ones_like(values, dtype=torch.bool))[0]
    recall = (values.flatten() >= thresholds[:, None]).double().mean(dim=1)
    np.testing.assert_allclose(curve, 1.3 * recall / (0.3 + recall), rtol=1e-12)
