"""Audio features, computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from save_avs.datasets import open_dataset, with_features
from save_avs.datasets.feature_cache import FeatureCache, backbone_identity, compute_features
from save_avs.errors import DataError, UsageError
from tests.support import dataset_trees as trees


class Mean(nn.Module):
    """Mean of each band, [N,1,96,64] to [N,64], times a weight; counts what it has seen."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.seen = 0

    def forward(self, log_mel):
        self.seen += len(log_mel)
        return log_mel[:, 0].mean(1) * self.weight


@pytest.fixture
def clips(tmp_path):
    return open_dataset("avss", trees.avss(tmp_path / "avss"), "test")


def cache_of(folder: Path, backbone: nn.Module) -> FeatureCache:
    return FeatureCache(folder, backbone_identity("mean", backbone))


def test_features_match_the_backbone(clips, tmp_path):
    backbone = Mean()
    assert compute_features(clips, backbone, cache_of(tmp_path / "cache", backbone)) == len(clips) == 3
    for i, sample in enumerate(with_features(clips, tmp_path / "cache")[k] for k in range(3)):
        assert sample.features.dtype == np.float32
        assert np.allclose(sample.features, clips[i].log_mel.mean(1), atol=1e-6)


def test_second_run_computes_only_missing_features(clips, tmp_path):
    backbone = Mean()
    cache = cache_of(tmp_path / "cache", backbone)
    compute_features(clips, backbone, cache)
    seen = backbone.seen
    assert compute_features(clips, backbone, cache) == 0 and backbone.seen == seen
    cache.path(clips.log_mel(1)).unlink()
    cache.path(clips.log_mel(2)).write_bytes(b"torn")
    assert compute_features(clips, backbone, cache) == 2
    assert compute_features(clips, backbone, cache) == 0


def test_interrupted_run_keeps_finished_features(clips, tmp_path, monkeypatch):
    from save_avs.datasets import feature_cache as features

    monkeypatch.setattr(features, "BATCH_CLIPS", 1)
    backbone = Mean()
    cache = cache_of(tmp_path / "cache", backbone)

    def stop(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute_features(clips, backbone, cache, progress=stop)
    files = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert len(files) == 2 and not any("part" in p.name for p in files)
    assert compute_features(clips, backbone, cache) == 1


def test_other_weights_have_other_features(clips, tmp_path):
    one, two = Mean(1.0), Mean(2.0)
    for backbone in (one, two):
        compute_features(clips, backbone, cache_of(tmp_path / "cache", backbone))
    with pytest.raises(UsageError, match="features of several backbones"):
        with_features(clips, tmp_path / "cache")
    first = with_features(clips, tmp_path / "cache", backbone=backbone_identity("mean", one))[0]
    second = with_features(clips, tmp_path / "cache", backbone=backbone_identity("mean", two))[0]
    assert np.allclose(2 * first.features, second.features)
    with pytest.raises(UsageError, match="not of mean-"):
        with_features(clips, tmp_path / "cache", backbone=backbone_identity("mean", Mean(3.0)))


def test_backbone_identity_depends_on_weights_only():
    assert backbone_identity("mean", Mean(1.0)) == backbone_identity("mean", Mean(1.0))
    assert backbone_identity("mean", Mean(1.0)) != backbone_identity("mean", Mean(1.5))
    assert backbone_identity("mean", Mean(1.0)) != backbone_identity("other", Mean(1.0))


def test_missing_features_name_the_command_to_run(clips, tmp_path):
    backbone = Mean()
    compute_features(clips, backbone, cache_of(tmp_path / "cache", backbone))
    with_sound = with_features(clips, tmp_path / "cache")
    trees.write_tone(clips.entries[0].paths.audio, [(6.0, 333.0)])
    with pytest.raises(DataError, match="run: save-avs data features avss ROOT --audio mean") as caught:
        with_sound[0]
    assert "\n" not in str(caught.value)


def test_empty_cache_is_refused(clips, tmp_path):
    with pytest.raises(UsageError, match="has no features"):
        with_features(clips, tmp_path / "cache")


def test_feature_dataset_passes_metadata_through(clips, tmp_path):
    backbone = Mean()
    compute_features(clips, backbone, cache_of(tmp_path / "cache", backbone))
    around = with_features(clips, tmp_path / "cache")
    assert (around.name, around.split, around.classes) == (clips.name, clips.split, clips.classes)
    assert len(around) == len(clips) and around.metadata(1) == clips.metadata(1)
