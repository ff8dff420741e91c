"""The metric of torchmetrics: the scores of `eval`, in any order, from several processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from save_avs.errors import UsageError
from save_avs.evaluation import evaluate_clips
from save_avs.evaluation.torchmetrics_adapter import AVSMetric
from save_avs.metrics.protocols import PROTOCOLS
from save_avs.models.preprocess import preprocess_frames
from tests.support.clip_sets import Bright, make_clips

LENGTHS = [3, 1, 5, 2, 4]


def frames() -> list[tuple[torch.Tensor, torch.Tensor, int, int]]:
    """Logits, target, clip and position of every frame of a small data set."""
    clips, model, out = make_clips(LENGTHS, silent=(3,)), Bright(), []
    for i in range(len(clips)):
        sample = clips[i]
        logits = model(
            preprocess_frames(sample.frames, 64, "squash"), torch.from_numpy(sample.log_mel[:, None])
        )
        out += [(logits[k], torch.from_numpy(sample.masks[k]), i, k) for k in range(len(logits))]
    return out


def expected(protocol: str) -> dict[str, float]:
    report = evaluate_clips(Bright(), make_clips(LENGTHS, silent=(3,)), [protocol], resamples=5)
    return {name: score.value for name, score in report.scores[0].overall.scores.items()}


def feed(metric: AVSMetric, given: list, batch: int = 4) -> None:
    for i in range(0, len(given), batch):
        logits, targets, clips, positions = zip(*given[i : i + batch], strict=True)
        metric.update(torch.stack(logits), torch.stack(targets), list(clips), list(positions))


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_scores_are_those_of_eval(name: str) -> None:
    given, metric = frames(), AVSMetric(name, image_size=64)
    for k in np.random.default_rng(0).permutation(len(given)).tolist():  # in no order
        feed(metric, [given[k]])
    feed(metric, given[:3])  # repeated frames count once
    assert {k: float(v) for k, v in metric.compute().items()} == expected(name)
    metric.reset()
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert all(np.isnan(float(v)) for v in metric.compute().values())


def test_two_processes_have_the_scores_of_one() -> None:
    given, name = frames(), "official-batch4"
    second = AVSMetric(name)
    states = iter(("index", "counts", "curves"))

    def gather(state: torch.Tensor, group: object = None) -> list[torch.Tensor]:
        return [state, torch.cat(getattr(second, next(states)))]

    first = AVSMetric(name, dist_sync_fn=gather, distributed_available_fn=lambda: True)
    for rank, metric in enumerate((first, second)):  # as a distributed sampler deals them out
        feed(metric, [given[k % len(given)] for k in range(rank, len(given) + 1, 2)])
    assert {k: float(v) for k, v in first.compute().items()} == expected(name)


def test_wrong_use_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown protocol 'best'"):
        AVSMetric("best")
    with pytest.raises(UsageError, match="'sama' compares at the network's size: give image_size"):
        AVSMetric("sama")
    with pytest.raises(ValueError, match="must be"):
        AVSMetric().update(torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8), [0, 0], [0, 1])
