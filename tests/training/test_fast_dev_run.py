"""The fast development run uses everything once and keeps nothing."""

from __future__ import annotations

from save_avs.training.recipe import Recipe
from save_avs.training.run_recipe import fast_dev_train, shorten_recipe
from save_avs.training.stage_config import SyntheticStage
from tests.support.recording_callback import RecordingCallback
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import tiny_config


def recipe(tmp_path) -> Recipe:
    sounds = {
        "name": "1-sounds",
        "task": "audio-tagging",
        "trainable": ("audio_backbone", "audio_classifier"),
    }
    scenes = {
        "name": "2-scenes",
        "task": "synthetic-avs",
        "trainable": ("adapter", "audio_adapter"),
        "init_from": "1-sounds",
    }
    plain = {"steps": 5000, "batch_size": 4, "lr": 1e-3, "scenes": {"num_objects": (1, 2)}}
    return Recipe.model_validate(
        {
            "model": tiny_config(),
            "corpus": make_corpus(tmp_path / "corpus"),
            "out": tmp_path / "run",
            "precision": "fp32",
            "workers": 0,
            "stages": [SyntheticStage.model_validate({**plain, **stage}) for stage in (sounds, scenes)],
        }
    )


def test_fast_dev_run_trains_and_validates_every_stage(tmp_path):
    callback = RecordingCallback()
    fast_dev_train(recipe(tmp_path), [callback])
    assert callback.stages == [("1-sounds", 0, 2), ("2-scenes", 0, 2)]
    assert [row["step"] for row in callback.rows if "val_miou" in row] == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]


def test_shortened_recipe_differs_in_length_and_folder_only(tmp_path):
    long = recipe(tmp_path)
    short = shorten_recipe(long)
    assert short.out.parent == long.out.parent and short.out != long.out
    for stage, former in zip(short.stages, long.stages, strict=True):
        changed = {k for k, v in stage.model_dump().items() if v != former.model_dump()[k]}
        assert changed == {"steps", "validate_every", "val_samples"}
