from __future__ import annotations

import numpy as np
import pytest
import torch

from save_avs.cli import main
from save_avs.datasets import open_dataset, with_features
from save_avs.models.audio.yamnet import YAMNet
from save_avs.runtimes import load_model
from tests.support import dataset_trees as trees


@pytest.fixture
def root(tmp_path):
    return trees.s4(tmp_path / "archives")


def features(root, *arguments: str) -> int:
    return main(["data", "features", "s4", str(root), "-o", str(root.parent / "cache"), *arguments])


def test_the_bundled_models_backbone(root, capsys):
    arguments = ("--audio", "compact", "--weights", "save-tiny", "--device", "cpu")
    assert features(root, *arguments) == 0
    assert "s4 train: 1 clip, 1 new\n" in capsys.readouterr().out
    assert features(root, *arguments) == 0
    assert "s4 test: 1 clip, 0 new\n" in capsys.readouterr().out
    sample = with_features(open_dataset("s4", root, "test"), root.parent / "cache")[0]
    model = load_model("save-tiny", device="cpu", precision="fp32")
    with torch.inference_mode():
        expected = model.audio_backbone(torch.from_numpy(sample.log_mel).unsqueeze(1)).numpy()
    assert np.allclose(sample.features, expected, atol=1e-5)


def test_a_backbone_of_another_front_end(root, tmp_path, capsys):
    torch.manual_seed(0)
    backbone = YAMNet().eval()
    torch.save(backbone.state_dict(), tmp_path / "yamnet.pth")
    assert (
        features(root, "--audio", "yamnet", "--weights", str(tmp_path / "yamnet.pth"), "--split", "test") == 0
    )
    assert "features: " in capsys.readouterr().out
    clips = open_dataset("s4", root, "test", frontend=YAMNet.frontend)
    sample = with_features(clips, root.parent / "cache")[0]
    with torch.inference_mode():
        expected = backbone(torch.from_numpy(sample.log_mel).unsqueeze(1)).numpy()
    assert sample.features.shape[1] == 1024 and np.allclose(sample.features, expected, atol=1e-5)


def test_one_split_alone(root, capsys):
    arguments = ("--audio", "compact", "--weights", "save-tiny", "--split", "test")
    assert features(root, *arguments) == 0
    said = capsys.readouterr().out
    assert "s4 test" in said and "s4 train" not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "run `save-avs weights fetch vggish`"),
        (["--audio", "compact"], "--weights is missing"),
        (["--weights", "nowhere.pth"], "nowhere.pth: no such file"),
        (["--audio", "compact", "--weights", "nowhere"], "no model 'nowhere'"),
        (["--weights", "save-tiny"], "save-tiny contains the audio backbone compact, not vggish"),
        (["--audio", "wav2vec", "--weights", "x"], "unknown audio backbone 'wav2vec'"),
        (["--weights", "x", "--split", "tset"], "Unknown split 'tset'"),
    ],
)
def test_wrong_usage_is_one_line(root, capsys, monkeypatch, arguments, message):
    monkeypatch.setenv("SAVE_AVS_CACHE", str(root.parent / "nothing-fetched"))
    assert features(root, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not (root.parent / "cache").exists()
