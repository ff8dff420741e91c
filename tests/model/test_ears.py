"""A SAVE with any audio backbone: built, saved, loaded, exported; whoever feeds it asks how it hears."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trees
from stand_in import make_video
from tiny_model import SAM, shake, tiny_config
from torch import Tensor

from save_avs.audio import is_silent, log_mel, log_mel_at
from save_avs.audio.front_end import OPENL3_MEL128, VGGISH, YAMNET
from save_avs.data import open_clips
from save_avs.data.benchmarks.files import read_wav
from save_avs.data.features import FeatureCache, backbone_identity, fill, with_features
from save_avs.evaluation import evaluate_clips
from save_avs.inference import Predictor, segment
from save_avs.inference.hearing import heard
from save_avs.model import SAVE, SaveConfig, build_on_bases, build_save, load_model, save_folder
from save_avs.model.runtimes import RUNTIMES, open_runtime
from save_avs.types import Clip

EARS = ("cnn14", "openl3-mel128-512", "yamnet")


@pytest.fixture(scope="module", params=EARS)
def model(request: pytest.FixtureRequest) -> SAVE:
    return ear(request.param)


def config(ear: str) -> SaveConfig:
    """The smallest model with an audio backbone, called as that is."""
    return tiny_config(name=ear, audio=ear, sam=SAM | {"depth": 2}, classes=("a", "b"))


def ear(name: str) -> SAVE:
    torch.manual_seed(0)
    model = build_save(config(name)).eval()
    shake(model.audio_adapter)
    return model


def batch(model: SAVE, frames: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (frames, 3, 64, 64), generator=draw, dtype=torch.uint8)
    return images, torch.randn(frames, 1, *model.front_end.shape, generator=draw)


def test_a_model_folder_comes_back(model: SAVE, tmp_path: Path) -> None:
    again = load_model(save_folder(model, config(model.name), tmp_path / "m"), device="cpu", precision="fp32")
    assert again.front_end == model.front_end
    with torch.inference_mode():
        logits = model(*batch(model, 2))
        torch.testing.assert_close(again(*batch(model, 2)), logits)
        assert (logits[0] - logits[1]).abs().max() > 0


def test_it_stands_on_a_published_file(tmp_path: Path) -> None:
    source = ear("yamnet").audio_backbone
    classifier = {"classifier.weight": torch.ones(521, 1024), "classifier.bias": torch.ones(521)}
    torch.save({**source.state_dict(), **classifier}, tmp_path / "yamnet.pth")
    model = build_on_bases(config("yamnet"), audio=tmp_path / "yamnet.pth").eval()
    folder = save_folder(model, config("yamnet"), tmp_path / "m")
    assert (folder / "model.safetensors").stat().st_size < 2e6  # YAMNet has 13 MB
    again = load_model(folder, base=tmp_path, device="cpu", precision="fp32")
    with torch.inference_mode():
        torch.testing.assert_close(again(*batch(again, 2)), model(*batch(model, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cnn14"], indirect=True)
@pytest.mark.parametrize("runtime", [name for name, kind in RUNTIMES.items() if "fp32" in kind.precisions])
def test_it_is_exported(model: SAVE, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in RUNTIMES[runtime].packages:
        pytest.importorskip(package)
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    other = open_runtime(runtime, save_folder(model, config(model.name), tmp_path / "m"), "fp32")
    assert other.front_end == model.front_end
    with torch.inference_mode():
        expected = model(*batch(model, 3))
    torch.testing.assert_close(other(*batch(model, 3)), expected, atol=1e-3, rtol=1e-3)


def test_a_video_is_segmented_at_the_rate_it_hears(model: SAVE, tmp_path: Path) -> None:
    seen: list[Tensor] = []
    hook = model.audio_backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    video = make_video(tmp_path / "v.mp4", frames=8, fps=4)
    result = segment(video, model=model)
    hook.remove()
    assert len(result.track) == 8
    patches = torch.cat(seen)
    assert patches.shape[1:] == (1, *model.front_end.shape)
    assert 4 <= len(patches) < 8  # the second half is silent, but for what reaches into it
    assert isinstance(heard(model, video), list)


def test_silence_is_told_whatever_the_level_says() -> None:
    """OpenL3's decibels are below the loudest of a patch: rounding errors would be as loud as anything."""
    rate = OPENL3_MEL128.rate
    hiss = (1e-9 * np.random.default_rng(0).standard_normal(2 * rate)).astype(np.float32)
    patches = log_mel_at(hiss, rate, [1.0], front_end=OPENL3_MEL128)
    assert patches.std() > 1
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    model = ear("openl3-mel128-512")
    model.audio_backbone.register_forward_pre_hook(lambda *_: pytest.fail("asked"))
    prediction = Predictor(model).predict(Clip(frames, np.array([1.0]), hiss, 0.0, rate))
    assert not prediction.masks.any() and is_silent(log_mel_at(hiss, rate, [1.0])).all()


@pytest.mark.parametrize("front_end", [YAMNET, OPENL3_MEL128])
def test_clips_are_heard_around_the_middle_of_vggishs_patches(front_end, tmp_path: Path) -> None:
    clips = open_clips("s4", trees.s4(tmp_path), "test", front_end=front_end)
    wav = clips.entries[0].parts()
    (path,) = (part.path for part in wav if part.kind == "sound")
    wave = read_wav(path, front_end.rate)
    assert len(wave) == len(clips.wave(0)) == len(read_wav(path)) * front_end.rate // 16_000
    frames = min(5, len(log_mel(read_wav(path), 16_000)))
    expected = log_mel_at(wave, front_end.rate, 0.96 * np.arange(frames) + 0.4875, front_end=front_end)
    assert np.array_equal(clips[0].patches[:frames], expected)
    assert np.array_equal(clips.patches(0), clips[0].patches)
    assert np.array_equal(clips.read(0, wave=clips.wave(0)).patches, clips[0].patches)
    assert clips.heard_by(VGGISH).front_end == VGGISH


def test_evaluation_and_features_hear_as_the_model_does(tmp_path: Path) -> None:
    model = ear("yamnet")
    # opened for VGGish, whose patches are of the same shape as YAMNet's
    clips = open_clips("s4", trees.s4(tmp_path), "test")
    report = evaluate_clips(model, clips, ["dataset"], resamples=10)
    cache = FeatureCache(tmp_path / "cache", backbone_identity("yamnet", model.audio_backbone))
    own = clips.heard_by(model.front_end)
    assert fill(own, model.audio_backbone, cache) == len(clips)
    stored = evaluate_clips(model, with_features(own, tmp_path / "cache"), ["dataset"], resamples=10)
    assert stored.about.features == stored.about.frames == report.about.frames > 0
    assert stored.scores[0].overall.scores["miou"].value == report.scores[0].overall.scores["miou"].value
