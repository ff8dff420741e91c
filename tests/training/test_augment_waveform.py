from __future__ import annotations

import numpy as np
import pytest
import torch

from save_avs.datasets import open_dataset
from save_avs.errors import DataError
from save_avs.training.clip_dataset import ClipStream, EpochShuffle
from save_avs.training.recipe import Recipe, RecipeError, load_recipe
from save_avs.training.recipe_check import check_recipe
from save_avs.training.stage_config import AugmentConfig
from tests.support import dataset_trees as trees
from tests.support.tiny_model import tiny_config


def test_audio_fields_of_the_config():
    assert AugmentConfig().audio_fields == () and AugmentConfig(flip=1, mix_db=(1, 2)).audio_fields == ()


@pytest.fixture
def ms3(tmp_path):
    root = trees.ms3(tmp_path)
    trees.table(
        root / "Multi-sources/ms3_meta_data.csv", "video_id,split\n_fvpYLXtQHQ_0,train\n_fvpYLXtQHQ_1,train\n"
    )
    data = root / "Multi-sources/ms3_data"
    for part in ("gt_masks", "audio_wav"):
        for path in (data / part / "test").iterdir():
            path.rename(data / part / "train" / path.name)
    trees.tones(data / "audio_wav/train/_fvpYLXtQHQ_1.wav", 5, lowest=900.0)
    return root


def stream(clips, **augment) -> ClipStream:
    return ClipStream(clips, 64, "squash", order=EpochShuffle(2, seed=1), augment=AugmentConfig(**augment))


def test_log_mel_is_of_the_augmented_waveform(ms3):
    clips = open_dataset("ms3", ms3, "train")
    plain = stream(clips)
    louder, mixed = stream(clips, gain_db=6), stream(clips, mix=1.0)
    for i in range(4):
        assert torch.equal(plain[i].clips.images, louder[i].clips.images) and torch.equal(
            plain[i].clips.masks, louder[i].clips.masks
        )
        change = (louder[i].clips.log_mel - plain[i].clips.log_mel)[plain[i].clips.log_mel > -1]
        assert 0 < change.std() < 0.2 * change.abs().mean()  # a gain is a step up or down in log-mel
        assert (mixed[i].clips.log_mel - plain[i].clips.log_mel).abs().max() > 1
        assert torch.equal(mixed[i].clips.log_mel, stream(clips, mix=1.0)[i].clips.log_mel)


def test_read_with_the_clips_own_waveform_gives_the_same_log_mel(ms3):
    clips = open_dataset("ms3", ms3, "train")
    assert np.abs(clips.read(0, waveform=clips.waveform(0)).log_mel - clips[0].log_mel).max() < 1e-3


def test_broken_distractor_is_named(ms3):
    clips = open_dataset("ms3", ms3, "train")
    (ms3 / "Multi-sources/ms3_data/audio_wav/train/_fvpYLXtQHQ_1.wav").write_text("text")
    with pytest.raises(DataError, match=r"_fvpYLXtQHQ_1\.wav: "):
        [stream(clips, mix=1.0)[i] for i in range(2)]


def recipe(tmp_path, augment: str, features: str = ""):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"model: {{preset: save-vit-b}}\nout: x\nstages:\n  train: {{task: avs, "
        f"data: {{name: s4, root: x{features}}}, "
        f"epochs: 1, batch_size: 2, lr: 1.0e-3, augment: {augment}}}\n"
    )
    return load_recipe(path)


def test_audio_augmentation_with_stored_features_is_refused(tmp_path):
    features = ", features: runs/features"
    with pytest.raises(
        RecipeError, match=r"train: augment\.mix changes the sound, but data\.features"
    ) as caught:
        recipe(tmp_path, "{mix: 0.5}", features)
    assert "\n" not in str(caught.value)
    assert recipe(tmp_path, "{flip: 0.5, scale: [0.8, 1.2]}", features).stages[0].augment.flip == 0.5


@pytest.mark.parametrize(
    ("augment", "problem"),
    [
        ("{scale: [1.5, 0.5]}", "stages.train.augment.scale: the lower value comes first"),
        (
            "{scale: [0.0, 1.0]}",
            "stages.train.augment.scale.0: Input should be greater than or equal to 0.25",
        ),
        ("{color: 2}", "stages.train.augment.color: Input should be less than or equal to 1"),
        ("{hue: 1}", "stages.train.augment.hue: Extra inputs"),
    ],
)
def test_augment_value_out_of_range_is_one_line(tmp_path, augment, problem):
    with pytest.raises(RecipeError) as caught:
        recipe(tmp_path, augment)
    assert problem in str(caught.value) and "\n" not in str(caught.value)


def test_validate_names_missing_audio(tmp_path):
    root = trees.s4(tmp_path / "tree")
    table = root / "Single-source/s4_meta_data.csv"
    table.write_text(table.read_text().replace("male_speech,test", "male_speech,val"))
    for path in list((root / "Single-source/s4_data").rglob("test")):
        path.rename(path.with_name("val"))
    for path in root.rglob("*.wav"):
        path.unlink()
    model = tiny_config().model_dump(exclude={"pretrained"})
    stage = {
        "name": "s",
        "task": "avs",
        "data": {"name": "s4", "root": root},
        "epochs": 1,
        "batch_size": 2,
    }

    stages = [{**stage, "lr": 1e-3}]
    recipe = Recipe.model_validate({"model": model, "out": "runs/x", "stages": stages})
    (problem,) = check_recipe(recipe).problems
    assert problem.endswith(".wav: missing")
