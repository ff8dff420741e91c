"""`save-avs teach`: a new class's scenes, its targets, and the model that comes out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import minimize

import save_avs
from save_avs.cli import main
from save_avs.errors import UsageError
from save_avs.losses import save_loss
from save_avs.models.serialization import save_model
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.new_class import NewClassStream, load_new_class
from save_avs.synthesis.scene import SceneOptions
from save_avs.training.collate import collate_scenes
from save_avs.training.stage_config import SyntheticStage
from save_avs.training.tasks import Normalizer
from save_avs.training.teach_new_class import NAMING_DECAY, NewClassTask
from tests.models.test_prompting import CONFIG as SAM_CONFIG
from tests.support.sam_oracle import make_oracle
from tests.support.tiny_corpus import SOUNDING, make_corpus, write_tone
from tests.support.tiny_model import shake, tiny_model

PURPLE = (160, 30, 160)


def write_new_class(root: Path, *, masks: bool = True) -> Path:
    """Two photographs of a purple box on gray, and two recordings of 5 and 5.2 kHz."""
    for folder in ("images", "sounds"):
        (root / folder).mkdir(parents=True)
    for i, (x, y) in enumerate([(20, 10), (60, 30)]):
        photo = np.full((80, 120, 3), 120 + i, np.uint8)
        photo[y : y + 30, x : x + 40] = PURPLE
        Image.fromarray(photo).save(root / "images" / f"{i}.jpg", quality=95)
        if masks:
            mask = np.zeros((80, 120), np.uint8)
            mask[y : y + 30, x : x + 40] = 255
            Image.fromarray(mask).save(root / "images" / f"{i}.mask.png")
        write_tone(root / "sounds" / f"{i}.wav", [(2.0, 5000.0 + 200 * i)])
    return root


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "corpus")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("save_avs.training.teach_new_class.OLD_SCENES", 3)
    model = tiny_model(classes=SOUNDING)
    shake(model)
    save_model(model, tmp_path / "model")
    write_new_class(tmp_path)
    return tmp_path


def new_class_stream(corpus: Path, root: Path) -> NewClassStream:
    new_class = load_new_class("box", Corpus.load(corpus, "train"), root / "images", root / "sounds")
    return NewClassStream(new_class, SceneOptions(texture_prob=0.0), 64, tiny_model().frontend)


def is_purple(frame: np.ndarray) -> np.ndarray:
    red, green, blue = (frame[..., i].astype(int) for i in range(3))
    return (red > green + 40) & (blue > green + 40)


def test_new_class_and_rehearsal_take_turns(corpus, place):
    stream = new_class_stream(corpus, place)
    items = [stream[i] for i in range(40)]
    assert [set(item.sounds[:, 1]) for item in items] == [{0.0}, {1.0}] * 20
    photos = [item for item in items if item.sample.name.startswith("photo")]
    assert 2 < len(photos) < 15
    heard = np.array([item.sounds[:, 0].mean() for item in items])
    assert heard[::2].mean() > 0.3 > heard[1::2].mean()  # mostly heard where it is taught
    again = stream[4]
    assert np.array_equal(items[4].sample.frames, again.sample.frames)


def test_masks_are_of_what_sounds(corpus, place):
    stream = new_class_stream(corpus, place)
    seen = 0
    for i in range(0, 60, 2):
        item = stream[i]
        if not item.sample.name.startswith("photo"):
            continue
        mask, purple = item.sample.masks[0], is_purple(item.sample.frames[0])
        assert purple.any()  # every view shows it
        if item.sounds[0, 0]:
            assert (mask & purple).sum() / (mask | purple).sum() > 0.8
            seen += 1
        else:
            assert not mask.any()
    assert seen > 3


def test_rehearsals_are_held_to_the_model_before(corpus, place):
    stage = SyntheticStage(
        name="s", task="synthetic-avs", trainable=("sam",), steps=2, batch_size=8, lr=1e-3, val_samples=2
    )
    model = tiny_model()
    task = NewClassTask(model, new_class_stream(corpus, place).new_class, stage)
    stream = new_class_stream(corpus, place)
    batch = collate_scenes([stream[i] for i in range(1, 12, 2)])
    assert (batch.sounds[:, 0] == 0).any()
    frames = len(batch.clips.images)
    with torch.no_grad():
        terms = task.loss(batch, Normalizer(frames, frames))
        logits = model(batch.clips.images, batch.clips.log_mel)
        target = torch.where(
            (batch.sounds[:, 0] == 0)[:, None, None, None], logits.sigmoid(), batch.clips.masks
        )
        expected = save_loss(logits, target, batch.clips.has_mask, frames)
    assert float(terms["bce"]) == pytest.approx(float(expected.bce), rel=1e-4)


def test_a_taught_model_names_one_class_more_and_keeps_the_others(corpus, place):
    before = save_avs.load_model("model", device="cpu", precision="fp32")
    lines: list[str] = []
    taught = save_avs.teach(
        "box", "images", "sounds", "out", model="model", corpus=corpus, steps=3, on_message=lines.append
    )
    model = save_avs.load_model("out", device="cpu", precision="fp32")
    assert taught.classes == model.classes == (*SOUNDING, "box")
    assert (taught.photos, taught.recordings, taught.old_classes) == (2, 2, SOUNDING)
    assert model.audio_classifier is not None and before.audio_classifier is not None
    assert torch.equal(model.audio_classifier.weight[:-1], before.audio_classifier.weight)
    backbones = (model.audio_backbone.state_dict(), before.audio_backbone.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(*(s.values() for s in backbones), strict=True))
    moved = [
        not torch.equal(a, b)
        for a, b in zip(model.sam.parameters(), before.sam.parameters(), strict=True)
        if a.numel() > 1
    ]
    assert sum(moved) > len(moved) / 2
    assert 0 <= taught.old_after <= 1 and len(lines) == 2


def test_the_new_sound_is_named_by_the_optimum_of_a_logistic_regression(corpus, place):
    stage = SyntheticStage(
        name="s", task="synthetic-avs", trainable=("sam",), steps=2, batch_size=8, lr=1e-3, val_samples=2
    )
    task = NewClassTask(tiny_model(), new_class_stream(corpus, place).new_class, stage)
    draw = torch.Generator().manual_seed(0)
    features = 5 + 3 * torch.randn(400, 6, generator=draw)
    heard = (features[:, 0] - features[:, 1] + torch.randn(400, generator=draw) > 0).float()
    task.sounds = [(features[:150], heard[:150]), (features[150:], heard[150:])]
    fitted = task.fit_naming()
    scaled = ((features - features.mean(0)) / features.std(0)).double().numpy()

    def cost(weights: np.ndarray) -> float:
        logits = scaled @ weights[:-1] + weights[-1]
        losses = np.logaddexp(0, logits) - heard.numpy() * logits
        return losses.mean() + NAMING_DECAY * (weights[:-1] ** 2).sum()

    best = minimize(cost, np.zeros(7), method="BFGS").x
    with torch.no_grad():
        found = fitted(features)[:, 0].numpy()
    assert found == pytest.approx(scaled @ best[:-1] + best[-1], abs=0.02)


def test_boxes_become_masks_by_sam(corpus, place, tmp_path, capsys):
    for mask in Path("images").glob("*.mask.png"):
        mask.unlink()
    line = ["teach", "box", "--images", "images", "--sounds", "sounds", "--model", "model"]
    line += ["--corpus", str(corpus), "--steps", "1", "-o", "out"]
    assert main(line) == 2 and "0.mask.png" in capsys.readouterr().err
    make_oracle(SAM_CONFIG, 128).save_pretrained("sam")
    with Path("boxes.csv").open("w", newline="") as file:
        rows = [["image", "x0", "y0", "x1", "y1"], ["0.jpg", 20, 10, 60, 40], ["1.jpg", 60, 30, 100, 60]]
        csv.writer(file).writerows(rows)
    assert main([*line, "--boxes", "boxes.csv", "--prompt-model", "sam"]) == 0
    printed = capsys.readouterr().out
    assert "learned 'box' from 2 images and 2 recordings" in printed and "old classes (4 in" in printed
    assert json.loads(Path("out/config.json").read_text())["classes"][-1] == "box"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "disc"}, "knows that class"),
        ({"images": "nowhere"}, "no such folder of images"),
        ({"sounds": "empty"}, "has no recording"),
        ({"boxes": "boxes.csv"}, "no such file"),
        ({"output": "model"}, "already exists"),
        ({"corpus": "nowhere"}, "is not a corpus"),
    ],
)
def test_what_is_missing_is_said_before_any_work(change, said, corpus, place):
    Path("empty").mkdir()
    given = {"name": "box", "images": "images", "sounds": "sounds", "output": "out", "corpus": corpus}
    with pytest.raises(UsageError, match=said):
        save_avs.teach(**(given | change), model="model", steps=1)
    assert not Path("out").exists()
