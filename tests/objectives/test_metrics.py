from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from save_avs.objectives import FrameMetric, FScore, MeanIoU, frame_f_curves, frame_ious


def naive_iou(probs: Tensor, truth: Tensor) -> float:
    """The benchmark's IoU of one frame, pixel by pixel."""
    pairs = list(zip((probs > 0.5).flatten().tolist(), truth.flatten().tolist(), strict=True))
    if not any(t for _, t in pairs):
        return sum(not m and not t for m, t in pairs) / (len(pairs) + 1e-7)
    return sum(m and t for m, t in pairs) / (sum(m or t for m, t in pairs) + 1e-7)


def naive_f_curve(probs: Tensor, truth: Tensor) -> Tensor:
    """The benchmark's F of one frame, one threshold after another."""
    curve = []
    for threshold in torch.linspace(0, 1 - 1e-10, 255):
        marked = probs >= threshold
        hits = (marked & truth).sum().item()
        precision, recall = hits / (marked.sum().item() + 1e-20), hits / (truth.sum().item() + 1e-20)
        below = 0.3 * precision + recall
        curve.append(1.3 * precision * recall / below if below > 0 else 0.0)
    return torch.tensor(curve, dtype=torch.float64)


def naive_f_score(probs: Tensor, truth: Tensor) -> float:
    curves = [naive_f_curve(p, t) for p, t in zip(probs, truth, strict=True) if t.any()]
    return float(torch.stack(curves).mean(0).max()) if curves else 0.0


def frames(b: int, seed: int, empty: tuple[int, ...] = (), h: int = 6, w: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.rand(b, h, w, generator=generator) > 0.6
    probs = (0.6 * torch.rand(b, h, w, generator=generator) + 0.3 * targets).clamp(0, 1)
    for i in empty:
        targets[i] = False
    return probs, targets


def test_iou_of_hand_made_frames() -> None:
    probs, targets = torch.zeros(4, 2, 2), torch.zeros(4, 2, 2, dtype=torch.bool)
    probs[0, 0] = 0.9  # two pixels marked, one of them right, one missed
    targets[0, :, 0] = True
    targets[1, 0, 0] = True  # missed altogether
    probs[2, 0, 0] = 0.9  # nothing sounds: three pixels of four rightly left out
    expected = [1 / 3, 0.0, 3 / 4, 1.0]
    np.testing.assert_allclose(frame_ious(probs, targets), expected, atol=1e-6)
    metric = MeanIoU()
    metric.update(probs, targets)
    assert metric.compute() == pytest.approx(np.mean(expected), abs=1e-6)
    np.testing.assert_allclose(metric.values(), expected, atol=1e-6)


def test_iou_threshold_is_exclusive_and_can_be_chosen() -> None:
    probs, targets = torch.full((1, 2, 2), 0.5), torch.ones(1, 2, 2, dtype=torch.bool)
    assert frame_ious(probs, targets).item() == 0.0
    metric = MeanIoU(threshold=0.4)
    metric.update(probs, targets)
    assert metric.compute() == pytest.approx(1.0)


def test_f_curve_of_a_hand_made_frame() -> None:
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
def test_scores_equal_the_naive_formulas(pixels: list[tuple[float, bool]]) -> None:
    probs = torch.tensor([p for p, _ in pixels]).reshape(2, 2, 3)
    targets = torch.tensor([t for _, t in pixels]).reshape(2, 2, 3)
    curves = frame_f_curves(probs, targets)
    for i in range(2):
        assert frame_ious(probs, targets)[i].item() == pytest.approx(
            naive_iou(probs[i], targets[i]), abs=1e-6
        )
        if targets[i].any():
            torch.testing.assert_close(curves[i], naive_f_curve(probs[i], targets[i]), atol=1e-6, rtol=0)
        else:
            assert curves[i].isnan().all()


def test_dataset_protocol_is_one_curve_over_all_frames() -> None:
    probs, targets = frames(10, seed=3, empty=(2, 7))
    metric = FScore()
    metric.update(probs[:3], targets[:3])
    metric.update(probs[3:], targets[3:])
    assert metric.compute() == pytest.approx(naive_f_score(probs, targets), abs=1e-6)


@pytest.mark.parametrize("clips_per_batch", [1, 2, 4])
def test_official_protocol_averages_over_batches_of_clips(clips_per_batch: int) -> None:
    # Five clips of three frames; in clip 1 nothing sounds.
    probs, targets = frames(15, seed=4, empty=(0, 3, 4, 5, 7))
    size = 3 * clips_per_batch
    f_scores = [naive_f_score(probs[i : i + size], targets[i : i + size]) for i in range(0, 15, size)]
    ious = torch.tensor([naive_iou(p, t) for p, t in zip(probs, targets, strict=True)])
    means = [ious[i : i + size].mean().item() for i in range(0, 15, size)]
    f_score, mean_iou = FScore(), MeanIoU()
    for metric in (f_score, mean_iou):
        metric.update(probs, targets, clips=[i // 3 for i in range(15)])
    assert f_score.compute("official", clips_per_batch) == pytest.approx(np.mean(f_scores), abs=1e-6)
    assert mean_iou.compute("official", clips_per_batch) == pytest.approx(np.mean(means), abs=1e-6)
    assert f_score.compute("official", clips_per_batch) != pytest.approx(f_score.compute("dataset"), abs=1e-3)


def test_an_empty_batch_scores_zero_officially_and_not_at_all_otherwise() -> None:
    probs, targets = frames(4, seed=5, empty=(2, 3))
    metric = FScore()
    metric.update(probs, targets, clips=[0, 0, 1, 1])
    assert metric.compute("official") == pytest.approx(metric.compute("dataset") / 2)


@pytest.mark.parametrize("kind", [MeanIoU, FScore])
def test_merging_processes_is_the_same_as_one(kind: type[FrameMetric]) -> None:
    probs, targets = frames(12, seed=6, empty=(4,))
    clips = torch.arange(12) // 3
    one = kind()
    one.update(probs, targets, clips)
    whole, other = kind(), kind()
    other.update(probs[::2], targets[::2], clips[::2])  # strided, as a distributed sampler deals them out
    whole.update(probs[1::2], targets[1::2], clips[1::2])
    whole.merge(pickle.loads(pickle.dumps(other)))
    for protocol in ("dataset", "official"):
        assert whole.compute(protocol, 2) == pytest.approx(one.compute(protocol, 2), abs=1e-12)
    assert len(other.values()) == 6
    assert sorted(whole.clips()) == sorted(one.clips())


@pytest.mark.parametrize("kind", [MeanIoU, FScore])
def test_reset_forgets(kind: type[FrameMetric]) -> None:
    metric = kind()
    assert np.isnan(metric.compute()) and np.isnan(metric.compute("official"))
    metric.update(*frames(2, seed=7))
    assert metric.compute() > 0
    metric.update(torch.zeros(0, 4, 4), torch.zeros(0, 4, 4, dtype=torch.bool))
    assert len(metric.values()) == 2
    metric.reset()
    assert np.isnan(metric.compute())


def test_frames_of_different_sizes_score_together() -> None:
    metric = FScore()
    small, large = frames(2, seed=8), frames(1, seed=9, h=12, w=5)
    metric.update(*small)
    metric.update(*large)
    curves = torch.stack(
        [
            naive_f_curve(p, t)
            for probs, targets in (small, large)
            for p, t in zip(probs, targets, strict=True)
        ]
    )
    assert metric.compute() == pytest.approx(float(curves.mean(0).max()), abs=1e-6)


def test_what_cannot_be_scored_is_refused() -> None:
    probs, targets = frames(2, seed=10)
    metric = MeanIoU()
    with pytest.raises(ValueError, match="bool"):
        metric.update(probs, targets.float())
    with pytest.raises(ValueError, match=r"\[B,H,W\]"):
        metric.update(probs[0], targets[0])
    with pytest.raises(ValueError, match="NaN"):
        metric.update(torch.full_like(probs, torch.nan), targets)
    with pytest.raises(ValueError, match="one entry a frame"):
        metric.update(probs, targets, clips=[0])
    metric.update(probs, targets)
    with pytest.raises(ValueError, match="clips"):
        metric.compute("official")
