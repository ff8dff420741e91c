"""A SAVE with each audio backbone: save, load, runtimes, segmentation, evaluation at its sample rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from save_avs.audio import is_silent, log_mel, log_mel_at
from save_avs.audio.frontend import OPENL3_MEL128, VGGISH, YAMNET
from save_avs.datasets import open_dataset
from save_avs.datasets.clip_files import read_waveform
from save_avs.datasets.feature_cache import FeatureCache, backbone_identity, compute_features, with_features
from save_avs.evaluation.benchmark import evaluate_clips
from save_avs.inference.audio_events import detect_audio_events
from save_avs.inference.pipeline import segment
from save_avs.inference.predictor import Predictor
from save_avs.models import SAVE, SaveConfig, build_from_pretrained, build_save, save_model
from save_avs.runtimes import RUNTIMES, load_model, open_runtime
from save_avs.types import VideoChunk
from tests.support import dataset_trees as trees
from tests.support.sample_videos import make_video
from tests.support.tiny_model import SAM, shake, tiny_config

pytestmark = pytest.mark.slow

BACKBONE_NAMES = ("cnn14", "openl3-mel128-512", "yamnet")


@pytest.fixture(scope="module", params=BACKBONE_NAMES)
def model(request: pytest.FixtureRequest) -> SAVE:
    return untrained_model(request.param)


def config(backbone: str) -> SaveConfig:
    """The smallest model with an audio backbone, called as that is."""
    return tiny_config(name=backbone, audio=backbone, sam=SAM | {"depth": 2}, classes=("a", "b"))


def untrained_model(name: str) -> SAVE:
    torch.manual_seed(0)
    model = build_save(config(name)).eval()
    shake(model.audio_adapter)
    return model


def batch(model: SAVE, frames: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (frames, 3, 64, 64), generator=draw, dtype=torch.uint8)
    return images, torch.randn(frames, 1, *model.frontend.shape, generator=draw)


def test_model_folder_round_trips(model: SAVE, tmp_path: Path) -> None:
    again = load_model(save_model(model, tmp_path / "m"), device="cpu", precision="fp32")
    assert again.frontend == model.frontend
    with torch.inference_mode():
        logits = model(*batch(model, 2))
        torch.testing.assert_close(again(*batch(model, 2)), logits)
        assert (logits[0] - logits[1]).abs().max() > 0


def test_published_backbone_weights_are_not_saved(tmp_path: Path) -> None:
    source = untrained_model("yamnet").audio_backbone
    classifier = {"classifier.weight": torch.ones(521, 1024), "classifier.bias": torch.ones(521)}
    torch.save({**source.state_dict(), **classifier}, tmp_path / "yamnet.pth")
    model = build_from_pretrained(config("yamnet"), audio=tmp_path / "yamnet.pth").eval()
    folder = save_model(model, tmp_path / "m")
    assert (folder / "model.safetensors").stat().st_size < 2e6  # YAMNet has 13 MB
    again = load_model(folder, pretrained=tmp_path, device="cpu", precision="fp32")
    with torch.inference_mode():
        torch.testing.assert_close(again(*batch(again, 2)), model(*batch(model, 2)))


@pytest.mark.exhaustive
@pytest.mark.parametrize("model", ["cnn14"], indirect=True)
def test_onnx_matches_torch(model: SAVE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in RUNTIMES["onnx"].packages:
        pytest.importorskip(package)
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    other = open_runtime("onnx", save_model(model, tmp_path / "m"), "fp32")
    assert other.frontend == model.frontend
    with torch.inference_mode():
        expected = model(*batch(model, 3))
    torch.testing.assert_close(other(*batch(model, 3)), expected, atol=1e-3, rtol=1e-3)


def test_video_is_segmented_at_the_backbones_sample_rate(model: SAVE, tmp_path: Path) -> None:
    seen: list[Tensor] = []
    hook = model.audio_backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    video = make_video(tmp_path / "v.mp4", frames=8, fps=4)
    result = segment(video, model=model)
    hook.remove()
    assert len(result.video_masks) == 8
    log_mel = torch.cat(seen)
    assert log_mel.shape[1:] == (1, *model.frontend.shape)
    assert 4 <= len(log_mel) < 8  # the second half is silent, but for what reaches into it
    assert isinstance(detect_audio_events(model, video), list)


def test_silence_is_detected_with_relative_decibels() -> None:
    """OpenL3's decibels are below the loudest of a patch: rounding errors would be as loud as anything."""
    sample_rate = OPENL3_MEL128.sample_rate
    hiss = (1e-9 * np.random.default_rng(0).standard_normal(2 * sample_rate)).astype(np.float32)
    log_mel = log_mel_at(hiss, sample_rate, [1.0], frontend=OPENL3_MEL128)
    assert log_mel.std() > 1
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    model = untrained_model("openl3-mel128-512")
    model.audio_backbone.register_forward_pre_hook(lambda *_: pytest.fail("asked"))
    prediction = Predictor(model).predict(VideoChunk(frames, np.array([1.0]), hiss, 0.0, sample_rate))
    assert not prediction.masks.any() and is_silent(log_mel_at(hiss, sample_rate, [1.0])).all()


@pytest.mark.parametrize("frontend", [YAMNET, OPENL3_MEL128])
def test_dataset_log_mel_is_centered_like_vggishs(frontend, tmp_path: Path) -> None:
    clips = open_dataset("s4", trees.s4(tmp_path), "test", frontend=frontend)
    (path,) = (file.path for file in clips.entries[0].files() if file.kind == "audio")
    waveform = read_waveform(path, frontend.sample_rate)
    assert (
        len(waveform) == len(clips.waveform(0)) == len(read_waveform(path)) * frontend.sample_rate // 16_000
    )
    frames = min(5, len(log_mel(read_waveform(path), 16_000)))
    expected = log_mel_at(
        waveform, frontend.sample_rate, 0.96 * np.arange(frames) + 0.4875, frontend=frontend
    )
    assert np.array_equal(clips[0].log_mel[:frames], expected)
    assert np.array_equal(clips.log_mel(0), clips[0].log_mel)
    assert np.array_equal(clips.read(0, waveform=clips.waveform(0)).log_mel, clips[0].log_mel)
    assert clips.with_frontend(VGGISH).frontend == VGGISH


def test_evaluation_and_feature_cache_use_the_models_frontend(tmp_path: Path) -> None:
    model = untrained_model("yamnet")
    # opened for VGGish, whose patches are of the same shape as YAMNet's
    clips = open_dataset("s4", trees.s4(tmp_path), "test")
    report = evaluate_clips(model, clips, ["dataset"], resamples=10)
    cache = FeatureCache(tmp_path / "cache", backbone_identity("yamnet", model.audio_backbone))
    own = clips.with_frontend(model.frontend)
    assert compute_features(own, model.audio_backbone, cache) == len(clips)
    stored = evaluate_clips(model, with_features(own, tmp_path / "cache"), ["dataset"], resamples=10)
    assert stored.info.features == stored.info.frames == report.info.frames > 0
    assert stored.scores[0].overall.scores["miou"].value == report.scores[0].overall.scores["miou"].value
