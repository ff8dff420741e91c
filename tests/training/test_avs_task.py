"""The AVS task: learning, exact resume, and the weights of the best validation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from save_avs.errors import SaveAvsError
from save_avs.losses import UNLABELED
from save_avs.metrics.mask_metrics import MaskMetric
from save_avs.metrics.protocols import PROTOCOLS
from save_avs.models import SAVE
from save_avs.models.preprocess import postprocess_logits
from save_avs.training.avs_task import AVSegmentationTask, class_ious
from save_avs.training.trainer import Trainer
from save_avs.training.validation_loop import mean_metric
from tests.support.recording_callback import make_trainer
from tests.support.tiny_model import shake, tiny_model
from tests.support.training_clips import Clips, clip_stage, make_clip

CLASSES = ("background", "left", "right")


def task(network: SAVE | None = None, *, train: int = 5, **changes) -> AVSegmentationTask:
    classes = CLASSES if changes.get("semantic_weight") else ()
    return AVSegmentationTask(
        network or tiny_model(**({"semantic": {"classes": CLASSES}} if classes else {})),
        clip_stage(**changes),
        train=Clips([make_clip(k, annotated=1) for k in range(train)], "train", classes=classes),
        val=Clips([make_clip(k) for k in range(3)], "val", classes=classes),
    )


def trainer(folder: Path, chosen: AVSegmentationTask, stage, **options) -> Trainer:
    return make_trainer(chosen, stage, folder, **options)


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("workers", [0, 1])
def test_resumed_run_ends_in_the_same_bits(workers, tmp_path):
    augment = {"flip": 0.5, "scale": (0.8, 1.4), "crop": 0.8, "color": 0.3}
    changes = {"epochs": 3, "steps": None, "augment": augment, "ema_decay": 0.5}
    stage = clip_stage(**changes)
    whole = trainer(tmp_path / "straight", task(**changes), stage, workers=workers)
    figures = whole.run()
    assert whole.step == 8  # three epochs of five clips, two a step: the last step has one clip

    first = task(**changes)
    loss, left = first.loss, iter(range(4))
    first.loss = lambda batch, whole: (
        loss(batch, whole) if next(left, None) is not None else pytest.fail("killed")
    )
    with pytest.raises(pytest.fail.Exception, match="killed"):
        trainer(tmp_path / "broken", first, stage, workers=workers, checkpoint_interval_s=0.0).run()
    second = trainer(tmp_path / "broken", task(**changes), stage, workers=workers)
    for parameter in second.train_step.parameters.values():  # the checkpoint alone knows better
        parameter.data.add_(1.0)
    assert second.run() == figures
    ends, expected = second.task.modules.state_dict(), whole.task.modules.state_dict()
    assert all(torch.equal(ends[k], v) for k, v in expected.items())
    assert (second.best.value, second.best.step) == (whole.best.value, whole.best.step)


def test_checkpoint_with_other_frozen_weights_is_refused(tmp_path):
    trainer(tmp_path, task(steps=2), clip_stage(steps=2)).run()
    other = trainer(tmp_path, task(tiny_model(seed=1), steps=4), clip_stage(steps=4))
    with pytest.raises(SaveAvsError, match="was saved with different frozen weights"):
        other.run()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-2000]), "all checkpoints are damaged"),
        (lambda path: torch.save({"step": 2}, path), "not a checkpoint of this version"),
    ],
)
def test_torn_or_foreign_checkpoint_is_a_one_line_error(tmp_path, spoil, message):
    trainer(tmp_path, task(steps=2), clip_stage(steps=2)).run()
    spoil(tmp_path / "checkpoint-00000002.pt")
    with pytest.raises(SaveAvsError, match=message) as caught:
        trainer(tmp_path, task(steps=4), clip_stage(steps=4)).run()
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_checkpoint_has_no_frozen_parameter(tmp_path):
    trainer(tmp_path, task(steps=2), clip_stage(steps=2)).run()
    for name in ("checkpoint-00000002.pt", "best.pt"):
        held = torch.load(tmp_path / name, weights_only=True)["modules"]
        assert "model.sam.image_encoder.pos_embed" not in held
        assert "model.sam.mask_decoder.iou_token.weight" in held


def test_model_ends_with_the_best_validated_weights(tmp_path):
    """Step 2 of 6 has the best validation score; the model must end with its weights."""
    stage = clip_stage(steps=6, batch_size=5)
    chosen = task(steps=6, batch_size=5)
    loop = trainer(tmp_path, chosen, stage)
    seen = {}
    score = chosen.metrics

    def scored(batch):
        seen[loop.step] = {k: v.clone() for k, v in chosen.model.state_dict().items()}
        return {**score(batch), "miou": torch.tensor([0.9 if loop.step == 2 else 0.1 * loop.step / 6])}

    chosen.metrics = scored
    assert loop.run()["miou"] == pytest.approx(0.9)
    assert sorted(seen) == [1, 2, 3, 4, 5, 6] and loop.best.step == 2
    ends = chosen.model.state_dict()
    assert all(torch.equal(ends[k], v) for k, v in seen[2].items())
    assert any(not torch.equal(ends[k], v) for k, v in seen[6].items())


def test_validation_equals_the_dataset_protocol(tmp_path):
    chosen = task(steps=1)
    shake(chosen.model)
    chosen.model.eval()
    batch = chosen.collate([chosen.val_stream[i] for i in range(3)])
    with torch.no_grad():
        found = chosen.metrics(batch)["miou"]
        logits = chosen.model(batch.clips.images, batch.clips.log_mel)
    metric = MaskMetric()
    full = torch.stack([postprocess_logits(frame[0], 48, 48, "squash") for frame in logits])
    metric.update(full, torch.stack(batch.full_masks), [0, 0, 0, 1, 1, 1, 2, 2, 2])
    assert found.shape == (9,) and mean_metric(found) == pytest.approx(
        metric.compute(PROTOCOLS["dataset"])["miou"]
    )


def test_each_epoch_reads_every_clip_once(tmp_path):
    chosen = task(steps=None, epochs=2)
    trainer(tmp_path, chosen, clip_stage(steps=None, epochs=2)).run()
    read = chosen.stream.clips.read
    assert sorted(read[:5]) == sorted(read[5:]) == list(range(5))


def test_batch_of_frames_steps_on_single_frames_of_any_clip(tmp_path):
    clips = Clips([make_clip(0, frames=4), make_clip(1, frames=3, annotated=1)])
    stage = clip_stage(steps=None, epochs=2, batch_size=None, batch_frames=2)
    chosen = AVSegmentationTask(tiny_model(), stage, train=clips, val=clips)
    sizes, loss = [], chosen.loss
    chosen.loss = lambda batch, total: (sizes.append(len(batch.clips.images)), loss(batch, total))[1]
    trainer(tmp_path, chosen, stage).run()
    assert sizes == [2] * 5  # two epochs of 4 + 1 annotated frames


def test_loss_at_the_input_enlarges_logits_to_the_truth():
    """Against numpy: bilinear logits at 64 px, mean cross-entropy plus soft IoU over nearest-pixel masks."""
    torch.manual_seed(0)
    chosen = task(loss_size="input", train=2)
    shake(chosen.model)
    chosen.model.eval()
    batch = chosen.collate([chosen.stream[0], chosen.stream[1]])
    with torch.no_grad():
        found = chosen.loss(batch, chosen.normalizer(batch))
        logits = chosen.model(batch.clips.images, batch.clips.log_mel)[:, 0].double().numpy()
    place = (np.arange(64) + 0.5) / 4 - 0.5  # of a pixel among the 16 cells
    low = np.clip(np.floor(place), 0, 15).astype(int)
    high, share = np.minimum(low + 1, 15), np.clip(place - low, 0, 1)
    weights = np.zeros((64, 16))
    np.add.at(weights, (np.arange(64), low), 1 - share)
    np.add.at(weights, (np.arange(64), high), share)
    z = np.einsum("ph,qw,bhw->bpq", weights, weights, logits)
    truth = batch.clips.masks[:, 0].numpy()
    assert truth.shape == (2, 64, 64) and set(np.unique(truth)) == {0, 1}
    p = 1 / (1 + np.exp(-z))
    bce = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean()
    shared, either = (p * truth).sum((1, 2)), (p + truth - p * truth).sum((1, 2))
    iou = (1 - (shared + 1) / (either + 1)).mean()
    assert float(found["bce"]) == pytest.approx(bce, rel=1e-4)
    assert float(found["iou"]) == pytest.approx(iou, rel=1e-4)


def test_frozen_backbone_does_not_run_with_stored_features(tmp_path):
    network = tiny_model()
    features = np.random.default_rng(0).normal(size=(3, 128)).astype(np.float32)
    known = Clips([make_clip(k, features=features) for k in range(2)])
    chosen = AVSegmentationTask(network, clip_stage(), train=known, val=known)
    network.audio_backbone.register_forward_hook(lambda *_: pytest.fail("asked"))
    network.audio_backbone.requires_grad_(False)
    batch = chosen.collate([chosen.stream[0]])
    chosen.loss(batch, chosen.normalizer(batch))
    network.audio_backbone.requires_grad_(True)  # a backbone that learns says something new each time
    with pytest.raises(pytest.fail.Exception, match="asked"):
        chosen.loss(batch, chosen.normalizer(batch))


def test_training_learns_which_of_two_objects_sounds(tmp_path):
    stage = clip_stage(steps=40, batch_size=2, lr=5e-3)
    chosen = task(steps=40, batch_size=2, lr=5e-3, train=2)
    figures = trainer(tmp_path, chosen, stage).run()
    assert figures["miou"] > 0.8


@pytest.mark.exhaustive
def test_semantic_stage_learns_the_classes(tmp_path):
    options = {"steps": 60, "batch_size": 2, "lr": 5e-3, "semantic_weight": 1.0}
    options["trainable"] = ("adapter", "audio_adapter", "mask_decoder", "semantic")
    stage = clip_stage(**options)
    chosen = AVSegmentationTask(
        tiny_model(semantic={"classes": CLASSES}),
        stage,
        train=Clips([make_clip(k) for k in range(2)], classes=CLASSES),
        val=Clips([make_clip(k) for k in range(2)], "val", classes=CLASSES),
    )
    figures = trainer(tmp_path, chosen, stage).run()
    assert figures["class_miou"] > 0.8 and figures["miou"] > 0.8
    assert {"classes", "bce", "iou"} <= rows(tmp_path)[-2].keys()


def test_class_ious_of_hand_made_labels():
    truth = torch.tensor([[[0, 1], [1, UNLABELED]], [[2, 2], [0, 0]]])
    found = torch.tensor([[[0, 1], [0, 1]], [[2, 0], [0, 0]]])
    scores = class_ious(found, truth, 3)
    expected = torch.tensor([[1 / 2, 1 / 2, float("nan")], [2 / 3, float("nan"), 1 / 2]])
    assert torch.allclose(scores, expected, equal_nan=True)
    assert mean_metric(scores) == pytest.approx(((1 / 2 + 2 / 3) / 2 + 1 / 2 + 1 / 2) / 3)
    absent = torch.cat([scores, torch.full((2, 1), float("nan"))], dim=1)
    assert mean_metric(absent) == pytest.approx(
        mean_metric(scores) * 3 / 4
    )  # a class that never occurs counts as 0
