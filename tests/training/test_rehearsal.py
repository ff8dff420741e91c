"""A rehearsal uses everything once and keeps nothing."""

from __future__ import annotations

from tiny_corpus import make_corpus
from tiny_model import tiny_config
from watching import Recorder

from save_avs.training.recipe import Recipe
from save_avs.training.rehearsal import rehearse, shortened
from save_avs.training.stage import ComposedStage


def recipe(tmp_path) -> Recipe:
    sounds = {"name": "1-sounds", "task": "sounds", "train": ("audio_backbone", "hearing")}
    scenes = {
        "name": "2-scenes",
        "task": "scenes",
        "train": ("adapter", "audio_adapter"),
        "start": "1-sounds",
    }
    plain = {"steps": 5000, "batch": 4, "lr": 1e-3, "scenes": {"things": (1, 2)}}
    return Recipe.model_validate(
        {
            "model": tiny_config(),
            "corpus": make_corpus(tmp_path / "corpus"),
            "out": tmp_path / "run",
            "precision": "fp32",
            "workers": 0,
            "stages": [ComposedStage.model_validate({**plain, **stage}) for stage in (sounds, scenes)],
        }
    )


def test_every_stage_trains_validates_and_begins_with_the_one_before(tmp_path):
    watch = Recorder()
    rehearse(recipe(tmp_path), [watch])
    assert watch.beginnings == [("1-sounds", 0, 2), ("2-scenes", 0, 2)]
    assert [row["step"] for row in watch.rows if "val_miou" in row] == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]


def test_it_changes_how_long_and_where_and_nothing_else(tmp_path):
    long = recipe(tmp_path)
    short = shortened(long)
    assert short.out.parent == long.out.parent and short.out != long.out
    for stage, former in zip(short.stages, long.stages, strict=True):
        changed = {k for k, v in stage.model_dump().items() if v != former.model_dump()[k]}
        assert changed == {"steps", "validate_every", "validate_on"}
