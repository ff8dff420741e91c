"""`eval --data real`: photographs under right and wrong sounds, with models whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from save_avs.cli import main
from save_avs.errors import UsageError
from save_avs.evaluation.real_photographs import RealSet, evaluate_real
from save_avs.models.serialization import save_model
from tests.support.tiny_corpus import write_tone
from tests.support.tiny_model import tiny_model

TONES = {"dog": 300.0, "siren": 6000.0}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two photographs of a class, whose left halves are masked, and two recordings."""
    for name, hertz in TONES.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (60, 40), (90, 80, 20 + i)).save(tmp_path / "images" / name / f"{i}.jpg")
            mask = np.zeros((40, 60), np.uint8)
            mask[:, :30] = 255
            Image.fromarray(mask).save(tmp_path / "images" / name / f"{i}.mask.png")
            write_tone(tmp_path / "sounds" / name / f"{i}.wav", [(1.5, hertz * (1 + i / 20))])
    return tmp_path


class LeftWhereLow(torch.nn.Module):
    """Marks the left half of an image in low sound, the right half in high sound, all of it in none."""

    def __init__(self) -> None:
        super().__init__()
        tiny = tiny_model()
        self.frontend, self.device, self.precision = tiny.frontend, torch.device("cpu"), "fp32"
        self.image_size, self.resize, self.name, self.classes = 64, "squash", "oracle", ("dog", "engine")

    def pitch(self, log_mel):
        bands = log_mel[:, 0].mean(1)  # [B,bands]
        low, high = bands[:, :32].mean(1), bands[:, 32:].mean(1)
        return torch.where((bands.std(1) < 0.05), torch.zeros(()), torch.sign(low - high))

    def forward(self, images, log_mel):
        left = torch.ones(len(images), 1, 16, 16)
        left[..., 8:] = -1
        pitch = self.pitch(log_mel)[:, None, None, None]
        return torch.where(pitch == 0, torch.ones(()), left * pitch)

    def classify_audio(self, log_mel):
        return torch.stack([self.pitch(log_mel), -self.pitch(log_mel)], 1)


def test_scores_are_those_of_a_model_whose_answer_is_known(root):
    report = evaluate_real(LeftWhereLow(), RealSet.load(root))  # type: ignore[arg-type]
    values = {name: metric.value for name, metric in report.metrics.items()}
    assert report.classes == pytest.approx({"dog": 1.0, "siren": 0.0})  # the siren's half is the other one
    assert values == pytest.approx(
        {"right": 0.5, "right, best": 0.5, "wrong": 0.5, "silence": 1.0, "named": 1.0}
    )
    assert report.known == ("dog",) and report.metrics["named"].count == 2
    assert report.metrics["right"].low == 0.0 and report.metrics["right"].high == 1.0
    name, _, target, mask = report.examples[0]
    assert name == "dog: 0" and np.array_equal(target, mask)


def test_command_writes_report_and_examples(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_model(tiny_model(classes=("dog", "engine")), "model")
    line = ["eval", "model", "--data", "real", "--root", str(root), "-o", "report"]
    assert main([*line, "--dry-run"]) == 0 and "4 photographs" in capsys.readouterr().out
    assert main(line) == 0
    assert "4 photographs of 2 classes, 1 known by name." in capsys.readouterr().out
    document = json.loads(Path("report/report.json").read_text())
    assert document["photos"] == 4 and document["metrics"]["named"]["count"] == 2
    with Image.open("report/examples.png") as sheet:
        assert sheet.width > 800


@pytest.mark.parametrize(
    ("remove", "said"),
    [
        ("images", "has no photographs"),
        ("images/dog/1.mask.png", "no mask"),
        ("sounds/siren", "no recording of siren"),
    ],
)
def test_what_is_missing_is_named(remove, said, root):
    path = root / remove
    if path.is_file():
        path.unlink()
    else:
        path.rename(root / "elsewhere")
    with pytest.raises(UsageError, match=said):
        RealSet.load(root)


def test_command_refuses_options_of_clips(root, capsys):
    assert main(["eval", "save-tiny", "--data", "real", "--root", str(root), "--size", "64"]) == 2
    assert main(["eval", "save-tiny", "--data", "real"]) == 2
    assert "requires --root" in capsys.readouterr().err
