from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from save_avs.errors import UsageError
from save_avs.runtimes.loading import BUNDLED
from save_avs.training.recipe import RECIPES, load_recipe
from save_avs.training.stage_config import SceneConfig

MINIMAL = """
model: {name: tiny}
corpus: corpora/x
out: runs/x
stages:
  - {name: only, task: synthetic-avs, trainable: [adapter], steps: 10, batch_size: 4, lr: 1.0e-3}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(MINIMAL)
    return path


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda p: p.name)
def test_every_recipe_of_the_package_is_valid(path):
    loaded = load_recipe(path)
    names = [stage.name for stage in loaded.stages]
    assert len(set(names)) == len(names)
    for i, stage in enumerate(loaded.stages):
        known = (None, *BUNDLED, *names[:i])
        assert stage.init_from in known or (RECIPES / f"{Path(stage.init_from).parts[1]}.yaml").is_file()


def test_extends_merges_over_the_other_recipe():
    s4, ms3 = (load_recipe(RECIPES / f"{name}.yaml") for name in ("s4-256", "ms3-1024"))
    (one,), (other,) = s4.stages, ms3.stages
    data = one.data.model_copy(update={"name": "ms3"})
    assert other == one.model_copy(update={"data": data, "batch_size": None, "batch_frames": 4})
    assert ms3.model == s4.model.model_copy(update={"image_size": 1024}) and ms3.pretrained == s4.pretrained
    assert (one.epochs, one.lr, one.min_lr, one.batch_size) == (80, 2e-4, 1e-7, 4)


def test_recipe_of_the_package_is_called_by_name_and_a_file_of_that_name_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_recipe("s4-256") == load_recipe(RECIPES / "s4-256.yaml")
    (tmp_path / "mine.yaml").write_text("extends: s4-256\nout: runs/mine\n")
    assert load_recipe("mine.yaml") == load_recipe("s4-256", ["out=runs/mine"])
    (tmp_path / "s4-256").write_text(MINIMAL)
    assert load_recipe("s4-256").model.name == "tiny"


def test_unknown_name_lists_the_recipes():
    with pytest.raises(
        UsageError, match=r"s4-265: no such recipe: give a YAML file or one of avss, .*s4-256"
    ):
        load_recipe("s4-265")


def test_full_sharding_with_muon_is_refused():
    with pytest.raises(UsageError, match="sharding: full slices the matrices that muon needs whole"):
        load_recipe(RECIPES / "save-tiny.yaml", ["sharding=full"])
    assert load_recipe(RECIPES / "s4-256.yaml", ["sharding=full"]).sharding == "full"


@pytest.mark.parametrize("shots", [1, 3, 5])
def test_few_shot_recipe_takes_its_shots_by_override(shots):
    recipe = load_recipe(RECIPES / "v3-few-shot.yaml", [f"shots={shots}", "stages.train.batch_size=2"])
    (stage,) = recipe.stages
    assert (stage.init_from, stage.epochs, stage.batch_size) == ("runs/v3-zero-shot/train/model", 10, 2)
    assert (stage.data.name, str(recipe.out)) == (f"v3-{shots}", f"runs/v3-{shots}-shot")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.yaml": "extends: b.yaml", "b.yaml": "extends: a.yaml"}, "extends itself"),
        ({"a.yaml": "extends: b.yaml"}, "b.yaml: no such recipe \\(extended by"),
        ({"a.yaml": "[1, 2]"}, "a.yaml: not a mapping"),
        ({"a.yaml": "model: {preset: save-vit-x}"}, "unknown preset 'save-vit-x'"),
    ],
)
def test_invalid_extends_is_refused(files, message, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        load_recipe(tmp_path / "a.yaml")


def test_save_tiny_freezes_sams_encoder_in_its_first_avs_stage():
    stages = load_recipe(RECIPES / "save-tiny.yaml").stages
    scenes = [stage for stage in stages if stage.task == "synthetic-avs"]
    assert scenes and {s.task for s in stages} == {"audio-tagging", "sam-pretraining", "synthetic-avs"}


def test_overrides_replace_values(recipe):
    loaded = load_recipe(
        recipe, ["stages.0.steps=3", "out=runs/mine", "model.audio_adapter.tokens=2", "workers=0"]
    )
    assert loaded.stages[0].steps == 3
    assert loaded.out == Path("runs/mine")
    assert loaded.model.audio_adapter.tokens == 2
    assert loaded.workers == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stagess=3", "stagess: Extra inputs are not permitted"),
        ("stages.0.stepps=3", "stages.0.stepps: Extra inputs are not permitted"),
        ("stages.0.steps=0", "stages.0.steps: Input should be greater than 0"),
        ("stages.0.grad_accum_steps=99", "stages.0: grad_accum_steps: 99 micro-batches"),
        ("stages.0.lr=-1", "stages.0.lr: Input should be greater than 0"),
        (
            "stages.0.task=sing",
            "stages.0.task: Input should be one of 'audio-tagging', 'sam-pretraining', 'synthetic-avs'",
        ),
        ("stages.0.scenes.off_screen_prob=1.5", "off_screen_prob: Input should be less than or equal to 1"),
        ("model.image_adapter.ratio=2", "model.image_adapter.ratio: Input should be less than or equal to 1"),
        ("precision=fp8", "precision: Input should be 'fp32', 'bf16' or 'fp16'"),
        ("workers", "Invalid override 'workers': expected key=value"),
    ],
)
def test_invalid_override_is_one_line(recipe, override, message):
    with pytest.raises(UsageError) as caught:
        load_recipe(recipe, [override])
    text = str(caught.value)
    assert message in text and "\n" not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: [", "recipe.yaml: line 1, column 9: while parsing a flow node expected the node content"),
        (
            MINIMAL.replace("corpus: corpora/x\n", ""),
            "recipe.yaml: corpus: required by stage only",
        ),
        (MINIMAL.replace("task: synthetic-avs, ", ""), "recipe.yaml: stages.0.task: Field required"),
        (MINIMAL.replace("name: tiny", "nam: tiny"), "recipe.yaml: model.name: Field required"),
    ],
)
def test_invalid_file_is_one_line(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_recipe(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_missing_recipe(tmp_path):
    with pytest.raises(UsageError, match="no such recipe"):
        load_recipe(tmp_path / "none.yaml")


def test_scene_config_reaches_the_composer():
    options = SceneConfig(num_objects=(2, 3), texture_prob=0.5).options()
    assert (options.num_objects, options.texture_prob, options.augment) == ((2, 3), 0.5, True)


@pytest.mark.parametrize(("name", "batch"), [("s4", (4, None)), ("ms3", (None, 4))])
def test_sama_recipe_differs_from_saves_in_the_audio_path_and_the_loss(name, batch):
    """One table row of each from the same code: everything that SAMA-AVS does not have is off."""
    ours, sama = (load_recipe(RECIPES / f"{prefix}{name}-1024.yaml") for prefix in ("", "sama-"))
    assert sama.model.image_adapter is None and sama.model.audio_adapter.kind == "sama"
    assert (sama.model.sam, sama.model.image_size) == (ours.model.sam, 1024)
    (one,), (other,) = ours.stages, sama.stages
    assert (other.batch_size, other.batch_frames) == batch and (other.lr, other.epochs) == (2e-4, 80)
    changes = {"trainable": ("audio_adapter", "mask_decoder"), "loss_size": "input", "grad_clip_norm": inf}
    assert other == one.model_copy(update=changes)
