"""Validation images: what the tasks return, how many are kept, how they are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from save_avs.models import build_save
from save_avs.training.avs_task import AVSegmentationTask
from save_avs.training.callbacks.validation_images import (
    MAX_IMAGES,
    add_images,
    draw_validation_images,
    make_validation_images,
    panels,
)
from save_avs.training.stage_config import SyntheticStage
from save_avs.training.tasks import TASKS
from save_avs.visualization.overlay import MASK_COLOR, TARGET_COLOR
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import tiny_config, tiny_model
from tests.support.training_clips import Clips, clip_stage, make_clip
from tests.support.training_runs import make_validation_image


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("synthetic-avs", None),
        ("sam-pretraining", ["point 1", "point 2", "box 3", "box 4"]),
        ("audio-tagging", []),
    ],
)
def test_synthetic_task_images(name, names, corpus):
    stage = SyntheticStage.model_validate(
        {"name": "x", "task": name, "trainable": ["sam"], "steps": 1, "batch_size": 4, "lr": 1e-3}
    )
    changes = {} if name == "synthetic-avs" else {"image_adapter": None}
    model = build_save(tiny_config(classes=("bar", "disc", "ring", "square"), **changes)).eval()
    task = TASKS[name](model, stage, corpus, 64)
    batch = task.collate([task.val_stream[i] for i in range(2 if name == "synthetic-avs" else 4)])
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        images = task.images(batch)
    assert len(images) == (0 if name == "audio-tagging" else 4)
    assert names is None or [image.name for image in images] == names
    for image in images:
        assert image.frame.shape == (64, 64, 3) and image.frame.dtype == np.uint8
        assert image.pred.shape == image.target.shape == (16, 16) and image.pred.dtype == np.float32
        assert image.pred.min() >= 0 and image.pred.max() <= 1


def test_avs_task_images_have_the_scored_predictions():
    clips = Clips([make_clip(k, annotated=2) for k in range(2)])
    task = AVSegmentationTask(tiny_model(), clip_stage(), train=clips, val=clips)
    batch = task.collate([task.val_stream[0], task.val_stream[1]])
    with torch.inference_mode():
        images, logits = task.images(batch), task.model(batch.clips.images, batch.clips.log_mel)
    assert [image.name for image in images] == ["clip-0", "clip-0", "clip-1", "clip-1"]
    assert np.array_equal(images[2].pred, logits[2, 0].sigmoid().numpy())
    assert images[0].target[8, 2] == 1 and images[0].target[8, 12] == 0  # the square on the left
    assert tuple(images[0].frame[32, 8]) == (220, 60, 30)


def test_add_images_limits_images_per_clip_and_in_all():
    asked: list[int] = []

    def make_images(batch: int):
        asked.append(batch)
        return [make_validation_image(f"clip-{batch}-{k // 5}") for k in range(15)]

    held = []
    for batch in range(4):
        add_images(held, lambda batch=batch: make_images(batch))
    assert [image.name for image in held] == [f"clip-{b}-{k // 2}" for b in range(2) for k in range(6)][
        :MAX_IMAGES
    ]
    assert asked == [0, 1]


def test_panels_show_target_prediction_and_probability():
    drawn = np.concatenate(panels(make_validation_image(side=64, probability=0.75)), axis=1)
    assert drawn.shape == (64, 3 * 64, 3)
    gray = np.full(3, 90)
    for left, color in ((0, TARGET_COLOR), (64, MASK_COLOR)):
        assert np.abs(drawn[32, left + 8] - (gray + color) / 2).max() <= 1
        assert np.array_equal(drawn[32, left + 60], gray)
    assert tuple(drawn[32, 128 + 8]) == (191, 191, 191) and not drawn[32, 128 + 60].any()


def test_panels_of_a_probability_below_one_half():
    drawn = np.concatenate(panels(make_validation_image(side=64, probability=0.25)), axis=1)
    assert (drawn[:, 64:128] == 90).all() and drawn[32, 128 + 8, 0] == 64


def test_pred_is_the_sigmoid_of_the_logits():
    logits = torch.tensor([-2.0, 0.0, 2.0, 4.0]).reshape(1, 1, 2, 2)
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    (shown,) = make_validation_images(images, logits.bfloat16(), torch.ones(1, 1, 2, 2), ["a"])
    assert shown.pred.ravel() == pytest.approx([0.1192, 0.5, 0.8808, 0.982], abs=1e-4)


def image_size(path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_contact_sheet_size_of_one_and_many_images(tmp_path):
    for count in (1, 5):
        draw_validation_images(
            tmp_path / f"{count}.png", [make_validation_image(f"clip {k}") for k in range(count)], "title"
        )
    one, many = (image_size(tmp_path / f"{count}.png") for count in (1, 5))
    assert many[0] > 1.8 * one[0] and many[1] > 2 * one[1]
