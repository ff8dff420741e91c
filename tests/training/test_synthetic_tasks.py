"""Training of the synthetic tasks on a micro corpus: learning, interruption and exact resume."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from save_avs.audio.frontend import YAMNET
from save_avs.errors import UsageError
from save_avs.models import SAVE, build_save
from save_avs.models.serialization import load_folder
from save_avs.training.recipe import Recipe
from save_avs.training.run_recipe import train
from save_avs.training.stage_config import SyntheticStage
from save_avs.training.tasks import TASKS
from save_avs.training.trainer import Trainer
from tests.support.recording_callback import RecordingCallback, make_trainer
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import tiny_config

CLASSES = ("bar", "disc", "ring", "square")
TRAINED = {
    "audio-tagging": ("audio_backbone", "audio_classifier"),
    "sam-pretraining": ("sam",),
    "synthetic-avs": ("adapter", "audio_adapter"),
}


class Killed(BaseException):
    """The machine went away."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def stage(task: str = "synthetic-avs", **changes) -> SyntheticStage:
    plain = {
        "name": "only",
        "task": task,
        "trainable": TRAINED[task],
        "steps": 6,
        "batch_size": 4,
        "lr": 1e-2,
        "warmup_steps": 2,
        "ema_decay": 0.9,
        "validate_every": 4,
        "val_samples": 4,
        "scenes": {"num_objects": (1, 2)},
    }
    return SyntheticStage.model_validate(plain | changes)


def model(task: str, seed: int = 0) -> SAVE:
    torch.manual_seed(seed)
    changes = {} if task == "synthetic-avs" else {"image_adapter": None}
    return build_save(tiny_config(classes=CLASSES, **changes))


def trainer(network: SAVE, chosen: SyntheticStage, corpus: Path, folder: Path, **options) -> Trainer:
    task = TASKS[chosen.task](network, chosen, corpus, 64)
    return make_trainer(task, chosen, folder, **options)


def die_at(chosen: Trainer, step: int) -> None:
    """The trainer is killed before it takes a step."""
    loss = chosen.task.loss

    def killing(batch, whole):
        if chosen.step == step:
            raise Killed
        return loss(batch, whole)

    chosen.task.loss = killing


@pytest.mark.parametrize(
    ("task", "workers", "optimizer"),
    [
        ("synthetic-avs", 0, "adamw"),
        ("synthetic-avs", 1, "adamw"),
        ("sam-pretraining", 0, "muon"),
        ("audio-tagging", 0, "adamw"),
    ],
)
def test_resumed_run_ends_in_the_same_bits(task, workers, optimizer, corpus, tmp_path):
    chosen = stage(task, optimizer=optimizer)
    whole = trainer(model(task), chosen, corpus, tmp_path / "straight", workers=workers)
    figures = whole.run()

    first = trainer(
        model(task), chosen, corpus, tmp_path / "broken", workers=workers, checkpoint_interval_s=0.0
    )
    die_at(first, 3)
    with pytest.raises(Killed):
        first.run()
    second = trainer(model(task), chosen, corpus, tmp_path / "broken", workers=workers)
    for parameter in second.train_step.parameters.values():  # the checkpoint alone knows better
        parameter.data.add_(1.0)
    resumed = second.run()

    assert resumed == figures
    ends, expected = second.task.modules.state_dict(), whole.task.modules.state_dict()
    assert ends.keys() == expected.keys()
    assert all(torch.equal(ends[k], v) for k, v in expected.items())


def test_kill_within_a_step_leaves_the_last_checkpoint(corpus, tmp_path):
    chosen = trainer(model("synthetic-avs"), stage(), corpus, tmp_path, checkpoint_interval_s=0.0)
    die_at(chosen, 2)
    with pytest.raises(Killed):
        chosen.run()
    assert torch.load(tmp_path / "checkpoint-00000002.pt", weights_only=True)["step"] == 2
    assert not [p for p in tmp_path.iterdir() if ".part" in p.name]


@pytest.mark.exhaustive
def test_audio_tagging_trains_yamnet_from_scratch(corpus, tmp_path):
    torch.manual_seed(0)
    network = build_save(tiny_config(audio="yamnet", classes=CLASSES, image_adapter=None))
    assert network.audio_classifier is not None and network.audio_classifier.in_features == 1024
    chosen = stage("audio-tagging", steps=30, batch_size=12, lr=1e-3, validate_every=30)
    learner = trainer(network, chosen, corpus, tmp_path)
    assert learner.task.stream.frontend == YAMNET
    losses, loss = [], learner.task.loss

    def noted(batch, whole):
        terms = loss(batch, whole)
        losses.append(terms["loss"].item())
        return terms

    learner.task.loss = noted
    learner.run()
    assert sum(losses[-8:]) < 0.9 * sum(losses[:8])


def test_sounds_of_a_frame_are_named_in_view_or_not(corpus):
    task = TASKS["synthetic-avs"](model("synthetic-avs"), stage(scenes={"off_screen_prob": 1.0}), corpus, 64)
    names, unseen = task.stream.corpus.sounding, 0
    for i in range(8):
        one = task.stream[i]
        assert one.sounds.shape == (2, len(names))
        groups = {sorted(task.stream.corpus.cutouts)[k] for k in one.groups}
        for sounds, mask in zip(one.sounds, one.sample.masks, strict=True):
            heard = {name for name, sounds_now in zip(names, sounds, strict=True) if sounds_now}
            assert not mask.any() or heard & groups
            unseen += bool(heard) and not heard & groups
    assert unseen


def test_audio_aux_loss_teaches_the_backbone_the_names_of_the_sounds(corpus):
    network = model("synthetic-avs")
    task = TASKS["synthetic-avs"](network, stage(audio_aux_weight=0.5), corpus, 64)
    batch = task.collate([task.stream[i] for i in range(2)])
    terms = task.loss(batch, task.normalizer(batch))
    logits = network.classify_audio(batch.clips.log_mel)
    expected = torch.nn.BCEWithLogitsLoss()(logits, batch.sounds) * len(CLASSES)
    torch.testing.assert_close(terms["audio_aux"], expected, rtol=1e-4, atol=1e-4)
    parts = terms["bce"] + terms["iou"] + 0.5 * (terms["semantic_aux"] + terms["audio_aux"])
    torch.testing.assert_close(terms["loss"], parts)
    assert "audio_aux" not in TASKS["synthetic-avs"](network, stage(), corpus, 64).loss(
        batch, task.normalizer(batch)
    )


@pytest.mark.parametrize("task", ["audio-tagging", "sam-pretraining", "synthetic-avs"])
def test_only_trainable_modules_change(task, corpus, tmp_path):
    network = model(task)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    trainer(network, stage(task, steps=2), corpus, tmp_path).run()
    moved = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    parts = {
        "audio-tagging": ("audio_backbone.", "audio_classifier."),
        "sam-pretraining": ("sam.",),
        "synthetic-avs": (".adapter.", "audio_adapter."),
    }
    assert moved and all(any(part in name for part in parts[task]) for name in moved)
    for part in parts[task]:
        assert any(part in name for name in moved)
    assert not network.training


def test_model_ends_with_the_ema_weights(corpus, tmp_path):
    chosen = trainer(model("synthetic-avs"), stage(steps=3), corpus, tmp_path)
    chosen.run()
    saved = torch.load(tmp_path / "checkpoint-00000003.pt", weights_only=True)
    name = "model.audio_adapter.prompt_proj.weight"
    assert torch.equal(chosen.task.modules.state_dict()[name], saved["ema"][name])
    assert not torch.equal(saved["ema"][name], saved["modules"][name])


def test_rows_and_events_are_logged(corpus, tmp_path):
    callback = RecordingCallback()
    trainer(model("synthetic-avs"), stage(), corpus, tmp_path, callback=callback).run()
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4, 6, 6]
    assert "val_miou" in rows[0] and {"loss", "bce", "iou", "lr"} <= rows[1].keys()
    assert [row["step"] for row in callback.rows] == [4, 6, 6]
    assert [stats.step for stats in callback.steps] == [1, 2, 3, 4, 5, 6]
    assert callback.stages == [("only", 0, 6)]


@pytest.mark.exhaustive
def test_synthetic_avs_training_raises_iou(corpus, tmp_path):
    chosen = stage(steps=60, batch_size=16, lr=5e-3, warmup_steps=10, validate_every=1000, val_samples=24)
    network = model("synthetic-avs")
    trained = (*chosen.trainable, "sam", "audio_backbone")
    chosen = chosen.model_copy(update={"trainable": trained})
    learner = trainer(network, chosen, corpus, tmp_path)
    before = learner.validate()["miou"]
    assert learner.run()["miou"] > before + 0.1


def recipe(corpus: Path, out: Path, **changes) -> Recipe:
    stages = (
        stage("audio-tagging", name="1-sounds", steps=1),
        stage("sam-pretraining", name="2-objects", init_from="1-sounds", steps=1, image_size=32),
        stage("synthetic-avs", name="3-scenes", init_from="2-objects", steps=1),
    )
    settings = {"corpus": corpus, "out": out, "precision": "fp32", "workers": 0, "stages": stages}
    return Recipe.model_validate({"model": tiny_config(), **settings, **changes})


def test_recipe_trains_its_stages_in_turn_and_skips_finished_ones(corpus, tmp_path):
    folder = train(recipe(corpus, tmp_path))
    assert folder == tmp_path / "3-scenes" / "model"
    network = load_folder(folder)
    config = network.config
    assert config.classes == CLASSES and config.image_size == network.image_size == 64
    small = load_folder(tmp_path / "2-objects" / "model")
    early = small.config
    assert early.image_adapter is None and small.image_size == 32
    ear = "audio_backbone.head.weight"
    heard = load_folder(tmp_path / "1-sounds" / "model")
    assert torch.equal(network.state_dict()[ear], heard.state_dict()[ear])

    callback = RecordingCallback()
    train(recipe(corpus, tmp_path), [callback])
    assert [line.split(",")[0] for line in callback.messages] == [
        f"{n}: already trained" for n in ("1-sounds", "2-objects", "3-scenes")
    ]


def test_missing_init_from_is_refused(corpus, tmp_path):
    alone = recipe(corpus, tmp_path, stages=(stage("synthetic-avs", init_from="0-nowhere"),))
    with pytest.raises(UsageError, match="stage only: init_from=0-nowhere is neither"):
        train(alone)


def test_missing_corpus_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match="is not a corpus"):
        train(recipe(tmp_path / "none", tmp_path / "out"))
    assert not (tmp_path / "out").exists()
