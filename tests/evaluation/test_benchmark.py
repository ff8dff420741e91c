"""evaluate_clips: batches across clips, every protocol, groups, label maps, reports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from save_avs.datasets import ClipMetadata
from save_avs.errors import DataError, UsageError
from save_avs.evaluation.benchmark import evaluate_clips
from save_avs.evaluation.report import published_results
from save_avs.metrics.mask_metrics import METRIC_NAMES, MaskMetric
from save_avs.metrics.protocols import PROTOCOLS
from save_avs.metrics.semantic_scores import CLASS_SUBSETS, SemanticMetric
from save_avs.models.preprocess import preprocess_frames
from tests.support.clip_sets import CLASSES, Bright, make_clips
from tests.support.tiny_model import shake, tiny_model

FAST = {"resamples": 20}
ALL = tuple(PROTOCOLS)


def by_hand(model, clips, name: str) -> dict[str, float]:
    """One frame after another, each resized by itself, by Pillow's nearest neighbor for the truth."""
    protocol = PROTOCOLS[name]
    metric = MaskMetric(protocol.scoring)
    for i in range(len(clips)):
        sample = clips[i]
        for k in np.flatnonzero(sample.has_mask & sample.valid):
            size = protocol.scoring.size
            side = model.image_size if size == "network" else size
            shape = sample.masks[k].shape if size == "target" else (side, side)
            images = preprocess_frames(sample.frames[k : k + 1], model.image_size, "squash")
            with torch.inference_mode():
                logits = model(images, torch.from_numpy(sample.log_mel[k : k + 1, None]))
            grown = F.interpolate(logits, shape, mode="bilinear", align_corners=False)[:, 0]
            truth = Image.fromarray(sample.masks[k].astype(np.uint8)).resize(
                shape[::-1], Image.Resampling.NEAREST
            )
            metric.update(grown, torch.from_numpy(np.array(truth) > 0)[None], clips=[i])
    return metric.compute(protocol)


@pytest.mark.parametrize("name", ALL)
def test_scores_equal_frame_by_frame_scoring(name: str) -> None:
    clips = make_clips([3, 1, 5, 2, 4, 2], silent=(4,))
    clips.samples[2] = make_clips([5], seed=3, size=(60, 33)).samples[0]  # another size among them
    report = evaluate_clips(Bright(), clips, [name], batch_size=4, **FAST)
    found = {measure: report.scores[0].overall.scores[measure].value for measure in METRIC_NAMES}
    assert found == pytest.approx(by_hand(Bright(), clips, name), abs=1e-6)


def test_batches_are_filled_across_clips_and_change_no_score() -> None:
    clips = make_clips([3, 1, 5, 2])
    model = Bright()
    large = evaluate_clips(model, clips, ALL, batch_size=8, **FAST)
    assert model.batches[:2] == [8, 3]  # then one frame a clip of the contact sheet
    small = evaluate_clips(Bright(), clips, ALL, batch_size=2, **FAST)
    assert large.as_json()["protocols"] == small.as_json()["protocols"]


def test_only_annotated_existing_frames_are_scored() -> None:
    clips = make_clips([5, 5])
    one = clips.samples[0]
    assert one is not None
    clips.samples[0] = replace(one, has_mask=np.array([True, False, True, True, True]))
    clips.samples[0] = replace(clips.samples[0], valid=np.array([True, True, True, True, False]))
    report = evaluate_clips(Bright(), clips, **FAST)
    assert report.info.frames == 3 + 5 and report.info.clips == 2
    wrong = ~one.masks
    wrong[[0, 2, 3]] = one.masks[[0, 2, 3]]
    clips.samples[0] = replace(clips.samples[0], masks=wrong)  # what lies elsewhere is not looked at
    assert evaluate_clips(Bright(), clips, **FAST).as_json()["protocols"] == report.as_json()["protocols"]


def test_padding_is_cut_away() -> None:
    clips = make_clips([4, 4], size=(24, 48))
    padded = Bright()
    padded.resize = "pad"
    for name in ("official", "dataset"):
        scores = [
            evaluate_clips(model, clips, [name], **FAST).scores[0].overall.scores["miou"].value
            for model in (Bright(), padded)
        ]
        assert scores[1] == pytest.approx(scores[0], abs=0.08) and scores[1] > 0.75


def test_features_replace_the_log_mel_input() -> None:
    model = tiny_model()
    shake(model)
    with_features = make_clips([2, 2], features=model.audio_adapter.in_proj.in_features)
    report = evaluate_clips(model, with_features, ["dataset"], **FAST)
    assert report.info.features == 4
    deaf = make_clips([2, 2])  # the same but for the sound
    others = evaluate_clips(model, deaf, ["dataset"], **FAST)
    assert others.info.features == 0
    found, heard = (r.scores[0].overall.scores["f"].value for r in (report, others))
    assert found != heard
    with pytest.raises(UsageError, match="features have 7 values, but tiny takes"):
        evaluate_clips(model, make_clips([2], features=7), **FAST)


def test_groups_by_category_and_number_of_objects() -> None:
    clips = make_clips([2, 3, 4, 1])
    clips.known[3] = ClipMetadata("clip-3", "video-1", ("dog", "bell"))
    (scores,) = evaluate_clips(Bright(), clips, ["official"], **FAST).scores
    assert {g.name: (g.clips, g.frames) for g in scores.categories} == {
        "bell": (2, 3),
        "dog": (2, 4),
        "drum": (1, 4),
    }
    assert {g.name: g.clips for g in scores.objects} == {"1": 3, "2": 1}
    alone = make_clips([2, 3, 4, 1])
    alone.samples, alone.known = alone.samples[2:3], alone.known[2:3]
    (drum,) = evaluate_clips(Bright(), alone, ["official"], **FAST).scores
    assert scores.categories[2].scores["miou"].value == drum.overall.scores["miou"].value


def test_object_counts_come_from_labels_without_categories() -> None:
    clips = make_clips([2, 2, 2], labeled=True, silent=(1,))
    clips.known = [replace(fact, categories=()) for fact in clips.known]
    (scores,) = evaluate_clips(Bright(), clips, ["official"], **FAST).scores
    assert {g.name: g.clips for g in scores.objects} == {"0": 1, "1": 2} and not scores.categories
    clips.samples = [replace(s, labels=None) for s in clips.samples if s is not None]
    (scores,) = evaluate_clips(Bright(), clips, ["official"], **FAST).scores
    assert [g.name for g in scores.objects] == ["not known"]


def test_broken_clip_stops_or_is_skipped() -> None:
    clips = make_clips([2, 2, 2])
    clips.samples[1] = None
    with pytest.raises(DataError, match=r"clips/1\.png: broken"):
        evaluate_clips(Bright(), clips, **FAST)
    report = evaluate_clips(Bright(), clips, broken="skip", **FAST)
    assert report.info.skipped == ("clips/1.png: broken",) and report.info.clips == 2
    assert report.clip_scores.names == ("clip-0", "clip-2")
    assert "1 broken clips were left out" in report.table()


def test_data_set_without_annotations_is_an_error() -> None:
    clips = make_clips([2])
    assert clips.samples[0] is not None
    clips.samples[0] = replace(clips.samples[0], has_mask=np.zeros(2, bool))
    with pytest.raises(DataError, match="no frame is annotated"):
        evaluate_clips(Bright(), clips, **FAST)


def test_progress_counts_frames_and_clips() -> None:
    said = []
    evaluate_clips(Bright(), make_clips([3, 3, 2]), batch_size=4, progress=said.append, **FAST)
    assert [(p.frames, p.fraction) for p in said] == [(4, pytest.approx(2 / 3)), (8, 1.0)]


def test_label_maps_are_scored_if_model_and_data_have_them() -> None:
    clips = make_clips([2, 3, 4], labeled=True, size=(56, 56), silent=(0,))
    model = Bright(classes=CLASSES)
    report = evaluate_clips(model, clips, ["official"], batch_size=4, **FAST)
    metric = SemanticMetric(len(CLASSES))
    for i, sample in enumerate(clips.samples):
        assert sample is not None and sample.labels is not None
        images = preprocess_frames(sample.frames, 64, "squash")
        _, logits = model.segment_classes(images, torch.from_numpy(sample.log_mel[:, None]))
        found = F.interpolate(logits, (224, 224), mode="bilinear", align_corners=False).argmax(1)
        truth = torch.from_numpy(sample.labels.repeat(4, 1).repeat(4, 2))
        metric.update(found, truth, [i] * len(found))
    assert report.semantic is not None
    for variant in CLASS_SUBSETS:
        scores = report.semantic.overall[variant]
        assert {m: s.value for m, s in scores.items()} == pytest.approx(metric.compute(variant))
    assert np.isnan(report.semantic.miou[1]) and report.semantic.frames[1] == 0  # the bell is silent
    assert "no-background" in report.table() and "| dog |" in report.table()
    assert evaluate_clips(Bright(), clips, ["official"], **FAST).semantic is None
    with pytest.raises(UsageError, match="bright names 2 classes, s4 has 4"):
        evaluate_clips(Bright(classes=CLASSES[:2]), clips, **FAST)


def test_saved_report(tmp_path: Path) -> None:
    report = evaluate_clips(Bright(), make_clips([2] * 9, silent=(8,)), ALL, seed=5, **FAST)
    report.save(tmp_path / "out")
    document = json.loads((tmp_path / "out/report.json").read_text())
    assert document["info"]["silent_frames"] == 2 and document["info"]["sources"] == 5
    assert list(document["protocols"]) == list(ALL)
    overall = document["protocols"]["official"]["overall"]
    assert overall["miou"]["low"] <= overall["miou"]["value"] <= overall["miou"]["high"] <= 1
    assert document["published"]["masks"][0]["miou"] == 0.787
    text = (tmp_path / "out/report.md").read_text()
    assert "SAMA-AVS" in text and "that F is not comparable" in text
    assert "which protocol the paper used is not known" in text
    assert "**Not the benchmark's test split**: it has 740 clips, this run scored 9" in text
    with Image.open(tmp_path / "out/examples.png") as sheet:
        assert sheet.width > 2 * 400 and sheet.height > 3 * 200
    kinds = [e.kind for e in report.examples]
    assert kinds == ["best"] * 2 + ["median"] * 2 + ["worst"] * 2
    assert all(e.target.any() for e in report.examples)  # the silent clip shows nothing


def test_examples_are_best_and_worst_clips() -> None:
    clips = make_clips([2] * 12)
    for i in range(3):
        sample = clips.samples[i]
        assert sample is not None
        clips.samples[i] = replace(sample, masks=~sample.masks)
    report = evaluate_clips(Bright(), clips, **FAST)
    worst = {e.name for e in report.examples if e.kind == "worst"}
    assert {"clip-0", "clip-1", "clip-2"} <= worst and len(worst) == 4
    assert all(e.iou < 0.1 for e in report.examples if e.name in {"clip-0", "clip-1", "clip-2"})
    assert all(e.iou > 0.9 for e in report.examples if e.kind in {"best", "median"})


def test_published_results_belong_to_the_test_split() -> None:
    assert [p.miou for p in published_results("masks", "ms3", "test") if p.method.startswith("SAVE")] == [
        64.16,
        67.01,
        70.28,
        70.83,
    ]
    assert (
        published_results("masks", "ms3", "val")
        == published_results("masks", "avss", "test")
        == published_results("labels", "v2", "test")
        == ()
    )
    assert [p.f for p in published_results("labels", "avss", "test")][:2] == [35.2, 42.8]
    assert [published_results("masks", f"v3-{n}", "test")[-1].miou for n in (0, 1, 3, 5)] == [
        54.71,
        62.89,
        66.28,
        67.75,
    ]
