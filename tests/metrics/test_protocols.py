"""Every named protocol equals its public definition, which score_oracle.py has from the formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from save_avs.errors import UsageError
from save_avs.metrics.mask_metrics import METRIC_NAMES, MaskMetric, score_clips
from save_avs.metrics.protocols import PROTOCOLS, get_protocols
from tests.support.metric_oracle import averaged, pooled

Clips = list[tuple[np.ndarray, np.ndarray]]

EXPECTED = {
    "official": lambda clips: averaged(clips, 1),
    "official-batch4": lambda clips: averaged(clips, 4),
    "dataset": lambda clips: averaged(clips, len(clips)),
    "sama": lambda clips: averaged(clips, 1, raw_f=True),
    "gavs": lambda clips: averaged(clips, 1, threshold=0.4),
    "cavp": pooled,
}


def draw(frames: list[int], seed: int) -> Clips:
    """Clips of so many frames, logits that know something of the truth."""
    rng = np.random.default_rng(seed)
    clips = []
    for n in frames:
        truth = rng.random((n, 8, 9)) > 0.7
        clips.append(((1.5 * rng.normal(size=truth.shape) + 2 * truth - 1).astype(np.float32), truth))
    return clips


def silence(clip: tuple[np.ndarray, np.ndarray], *frames: int) -> None:
    clip[1][list(frames)] = False


def mixed() -> Clips:
    """Ten clips, the last batch of four short: silent frames, silent clips, masks that are empty or full."""
    clips = draw([5, 5, 3, 5, 1, 5, 2, 5, 5, 4], seed=0)
    silence(clips[0], 1, 3)
    silence(clips[2], 0, 1, 2)
    clips[3][0][:] = -9  # an empty prediction
    clips[5][0][2] = 9  # everything marked
    return clips


def only_silent() -> Clips:
    clips = draw([5] * 6, seed=1)
    for clip in clips:
        silence(clip, 0, 1, 2, 3, 4)
    return clips


def a_silent_batch() -> Clips:
    """Clips 4 to 7, a whole batch of four, are silent."""
    clips = draw([5] * 9, seed=2)
    for clip in clips[4:8]:
        silence(clip, 0, 1, 2, 3, 4)
    return clips


def nothing_predicted() -> Clips:
    return [(np.full_like(x, -9), t) for x, t in draw([5, 4, 5], seed=3)]


def nothing_anywhere() -> Clips:
    return [(np.full_like(x, -9), np.zeros_like(t)) for x, t in draw([5, 5], seed=4)]


CASES = [mixed, a_silent_batch, nothing_predicted]


def metric_of(clips: Clips, name: str) -> MaskMetric:
    metric = MaskMetric(PROTOCOLS[name].scoring)
    for i, (logits, truth) in enumerate(clips):
        metric.update(torch.from_numpy(logits), torch.from_numpy(truth), clips=[i] * len(logits))
    return metric


def test_every_protocol_has_an_oracle() -> None:
    assert EXPECTED.keys() == PROTOCOLS.keys()


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("case", CASES)
def test_protocol_equals_its_oracle(case, name: str) -> None:
    clips = case()
    found = metric_of(clips, name).compute(PROTOCOLS[name])
    assert (found["miou"], found["f"]) == pytest.approx(EXPECTED[name](clips), abs=2e-6)


def test_protocols_differ_on_mixed_clips() -> None:
    scores = {name: EXPECTED[name](mixed()) for name in PROTOCOLS}
    for name in ("official-batch4", "dataset", "sama", "cavp"):
        assert abs(scores[name][1] - scores["official"][1]) > 1e-4
    for name in ("official-batch4", "dataset", "gavs", "cavp"):
        assert abs(scores[name][0] - scores["official"][0]) > 1e-4
    assert scores["sama"][0] == scores["official"][0]
    assert scores["gavs"][1] == scores["official"][1]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocol_on_silent_frames_only(name: str) -> None:
    """mIoU is the share rightly left out; F is 0 in the public code, and nothing where no frame counts."""
    found = metric_of(only_silent(), name).compute(PROTOCOLS[name])
    miou, f = EXPECTED[name](only_silent())
    assert found["miou"] == pytest.approx(miou, abs=2e-6)
    if name == "dataset":
        assert np.isnan(found["f"])
    else:
        assert found["f"] == pytest.approx(f, abs=2e-6)


def test_pooled_score_without_any_mask_is_of_the_background() -> None:
    found = metric_of(nothing_anywhere(), "cavp").compute(PROTOCOLS["cavp"])
    assert found == pytest.approx({"miou": 0.5, "f": 1.0})  # as the code has it: 0 / eps for the mask's IoU


@pytest.mark.parametrize("name", PROTOCOLS)
def test_score_clips_of_draws_equals_a_data_set_of_them(name: str) -> None:
    clips = mixed()
    table = metric_of(clips, name).table().by_clip()
    draws = np.random.default_rng(5).integers(len(clips), size=(6, len(clips)))
    for k, measure in enumerate(METRIC_NAMES):
        found = score_clips(table, PROTOCOLS[name], measure, draws)
        expected = [EXPECTED[name]([clips[i] for i in row])[k] for row in draws]
        np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_score_clips_accepts_draws_of_different_lengths(name: str) -> None:
    clips = mixed()
    table = metric_of(clips, name).table().by_clip()
    draws = np.array([[3, 9, 0, 5, 5, 1, 7, 8, 2], [4, 6, 1, 0, 3, -1, -1, -1, -1], [2, 2, 2, 8] + [-1] * 5])
    for k, measure in enumerate(METRIC_NAMES):
        found = score_clips(table, PROTOCOLS[name], measure, draws)
        expected = [EXPECTED[name]([clips[i] for i in row if i >= 0])[k] for row in draws]
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_get_protocols_size_needs_a_configurable_protocol() -> None:
    official, dataset = get_protocols(["official", "dataset", "official"], size=96)
    assert (official.scoring.size, dataset.scoring.size) == (224, 96)
    with pytest.raises(UsageError, match="official, sama is fixed: omit --size, or add dataset"):
        get_protocols(["official", "sama"], size=96)
    with pytest.raises(
        UsageError, match=r"unknown protocol 'offical'\. Choose from: official, official-batch4"
    ):
        get_protocols(["offical"])
    with pytest.raises(UsageError, match="no protocol given"):
        get_protocols([])
