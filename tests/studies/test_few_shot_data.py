"""Data of the few-shot study: scenes as clips, frames in memory, trials."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from save_avs.datasets import open_dataset
from save_avs.errors import DataError, UsageError
from save_avs.synthesis.corpus import Corpus
from studies.composed_benchmarks.clips import LayoutRequest
from studies.composed_benchmarks.layouts import write_layout
from studies.few_shot.baselines import extract_features
from studies.few_shot.episodes import MIN_AREA, QUERY_OPTIONS, SceneClips, scene_data, v3_data
from studies.few_shot.frames import clip_class, read_frame_set
from tests.support import dataset_trees as trees
from tests.support.few_shot_data import SEEN, UNSEEN, frozen_model, make_few_shot_corpus, quick


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_few_shot_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def save():
    return frozen_model()


@pytest.fixture(scope="module")
def clips(root):
    return SceneClips.random(Corpus.load(root, "zero-shot"), QUERY_OPTIONS, size=64, per_class=3, seed=7)


@pytest.fixture(scope="module")
def tree(root, tmp_path_factory):
    corpora = {split: Corpus.load(root, split) for split in ("train", "val", "zero-shot")}
    return write_layout("v3", LayoutRequest(corpora, 12, 5, (40, 48)), tmp_path_factory.mktemp("v3") / "tree")


def test_scene_clips_have_as_many_scenes_of_each_class(clips):
    names = [clip_class(clips.metadata(i)) for i in range(len(clips))]
    assert sorted(names) == [name for name in UNSEEN for _ in range(3)]
    for i in range(len(clips)):
        sample, scene = clips[i], clips.scenes[i]
        sounding = {scene.objects[k].cutout.group for k in scene.sounding_at(0.6)}
        assert sounding == {names[i]} and sample.masks.mean() > MIN_AREA / 2


def test_scene_clips_depend_on_the_seed(root, clips):
    corpus = Corpus.load(root, "zero-shot")
    again = SceneClips.random(corpus, QUERY_OPTIONS, size=64, per_class=3, seed=7)
    other = SceneClips.random(corpus, QUERY_OPTIONS, size=64, per_class=3, seed=8)
    assert np.array_equal(again[4].frames, clips[4].frames)
    assert not np.array_equal(other[4].frames, clips[4].frames)


def test_frame_set_has_the_encoders_features(clips, save):
    frames = read_frame_set(clips, range(4), save)
    features = extract_features(save, frames.images, frames.log_mel)
    assert torch.allclose(frames.features.image, features.image, atol=1e-5)
    part = frames.take([2, 0])
    assert part.clips == (2, 0) and part.classes == (frames.classes[2], frames.classes[0])
    assert torch.equal(part.features.audio, frames.features.audio[[2, 0]])
    assert torch.equal(part.targets[0], frames.targets[2])


def test_support_numbers_classes_by_name(clips, save):
    frames = read_frame_set(clips, range(len(clips)), save)
    support = frames.support()
    assert [UNSEEN[k] for k in support.classes.tolist()] == list(frames.classes)
    assert frames.first_of_each(2).classes == ("disc", "disc", "ghost", "ghost")


def test_episodes_have_the_same_queries_at_all_shots_and_no_examples_among_them(root, save):
    config = quick()
    data = scene_data(save, root, config)
    assert set(data.seen.classes) == set(SEEN)
    trials = list(data.trials)
    assert [t.shots for t in trials] == list(config.shots) * config.episodes
    for start in range(0, len(trials), 3):
        none, one, two = trials[start : start + 3]
        (asked,) = none.queries()
        assert none.examples is None and len(asked) == 4
        assert {frame for (part,) in (one.queries(), two.queries()) for frame in part.clips} == {*asked.clips}
        assert set(one.examples.clips) < set(two.examples.clips)
        assert len(two.examples) == 4 and not set(two.examples.clips) & set(asked.clips)
        assert set(two.examples.classes) == set(asked.classes)
        assert {none.source(clip) for clip in asked.clips} == {none.episode}


def test_v3_takes_examples_and_queries_from_its_tables(tree, save):
    data = v3_data(save, tree, quick(shots=(0, 1, 3)))
    assert set(data.seen.classes) <= set(SEEN) and data.seen.masks.flatten(1).any(1).all()
    assert len(set(data.seen.clips)) == len(data.seen)
    none, one, three = data.trials
    for trial in (one, three):
        support = open_dataset(f"v3-{trial.shots}", tree, "train")
        assert set(trial.examples.classes) == {clip_class(support.metadata(i)) for i in range(len(support))}
        assert set(trial.examples.classes) == set(UNSEEN)
        test = open_dataset(f"v3-{trial.shots}", tree, "test")
        asked = [clip for frames in trial.queries() for clip in frames.clips]
        assert asked == [i for i in range(len(test)) for _ in range(10)]
        assert trial.source(0) == test.metadata(0).source
    assert none.examples is None


def test_v3_needs_frames_with_a_seen_class(save, tmp_path):
    with pytest.raises(DataError, match="v3-0, split train: no frame has a single sounding class"):
        v3_data(save, trees.v3(tmp_path), quick(shots=(0,)))


def test_v3_has_no_table_for_two_shots(tree, save):
    with pytest.raises(UsageError, match="no table for 2"):
        v3_data(save, tree, quick())


def test_examples_of_labeled_clips_have_one_class(tree, save):
    clips = open_dataset("v3-0", tree, "train")
    frames = read_frame_set(clips, range(len(clips)), save, examples=True)
    assert len(set(frames.clips)) == len(frames) and set(frames.classes) <= set(SEEN)
    for clip, name, truth in zip(frames.clips, frames.classes, frames.targets, strict=True):
        sample = clips[clip]
        at = next(k for k, mask in enumerate(sample.masks) if np.array_equal(mask, truth.numpy()))
        named = sample.labels[at] == clips.classes.index(name)
        assert named.sum() > 0.9 * sample.masks[at].sum()  # cells do not see a sliver of another
