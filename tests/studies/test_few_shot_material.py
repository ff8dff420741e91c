"""Scenes as clips of one class, frames in memory, and the trials drawn from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from save_avs.datasets import open_dataset
from save_avs.errors import DataError, UsageError
from save_avs.models.baselines import extract_features
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.layout_files import LayoutRequest
from save_avs.synthesis.layouts import write_layout
from studies.few_shot.frames import class_of, read_frames
from studies.few_shot.scene_clips import PLAIN, VISIBLE, SceneClips
from studies.few_shot.trials import from_scenes, from_v3
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
    return SceneClips.draw(Corpus.load(root, "zero-shot"), PLAIN, size=64, each=3, seed=7)


@pytest.fixture(scope="module")
def tree(root, tmp_path_factory):
    corpora = {split: Corpus.load(root, split) for split in ("train", "val", "zero-shot")}
    return write_layout("v3", LayoutRequest(corpora, 12, 5, (40, 48)), tmp_path_factory.mktemp("v3") / "tree")


def test_of_every_unseen_class_there_are_as_many_scenes(clips):
    names = [class_of(clips.metadata(i)) for i in range(len(clips))]
    assert sorted(names) == [name for name in UNSEEN for _ in range(3)]
    for i in range(len(clips)):
        sample, scene = clips[i], clips.scenes[i]
        sounding = {scene.objects[k].cutout.group for k in scene.sounding_at(0.6)}
        assert sounding == {names[i]} and sample.masks.mean() > VISIBLE / 2


def test_another_seed_draws_other_scenes(root, clips):
    corpus = Corpus.load(root, "zero-shot")
    again = SceneClips.draw(corpus, PLAIN, size=64, each=3, seed=7)
    other = SceneClips.draw(corpus, PLAIN, size=64, each=3, seed=8)
    assert np.array_equal(again[4].frames, clips[4].frames)
    assert not np.array_equal(other[4].frames, clips[4].frames)


def test_frames_carry_what_the_encoders_say(clips, save):
    frames = read_frames(clips, range(4), save)
    features = extract_features(save, frames.images, frames.log_mel)
    assert torch.allclose(frames.features.image, features.image, atol=1e-5)
    part = frames.take([2, 0])
    assert part.clips == (2, 0) and part.classes == (frames.classes[2], frames.classes[0])
    assert torch.equal(part.features.audio, frames.features.audio[[2, 0]])
    assert torch.equal(part.full_masks[0], frames.full_masks[2])


def test_examples_are_numbered_by_the_order_of_their_names(clips, save):
    frames = read_frames(clips, range(len(clips)), save)
    support = frames.support()
    assert [UNSEEN[k] for k in support.classes.tolist()] == list(frames.classes)
    assert frames.first_of_each(2).classes == ("disc", "disc", "ghost", "ghost")


def test_episodes_ask_the_same_at_all_shots_and_never_about_examples(root, save):
    settings = quick()
    material = from_scenes(save, root, settings)
    assert set(material.seen.classes) == set(SEEN)
    trials = list(material.trials)
    assert [t.shots for t in trials] == list(settings.shots) * settings.episodes
    for start in range(0, len(trials), 3):
        none, one, two = trials[start : start + 3]
        (asked,) = none.queries()
        assert none.examples is None and len(asked) == 4
        assert {frame for (part,) in (one.queries(), two.queries()) for frame in part.clips} == {*asked.clips}
        assert set(one.examples.clips) < set(two.examples.clips)
        assert len(two.examples) == 4 and not set(two.examples.clips) & set(asked.clips)
        assert set(two.examples.classes) == set(asked.classes)
        assert {none.source(clip) for clip in asked.clips} == {none.episode}


def test_v3_takes_examples_and_questions_of_its_tables(tree, save):
    material = from_v3(save, tree, quick(shots=(0, 1, 3)))
    assert set(material.seen.classes) <= set(SEEN) and material.seen.masks.flatten(1).any(1).all()
    assert len(set(material.seen.clips)) == len(material.seen)
    none, one, three = material.trials
    for trial in (one, three):
        support = open_dataset(f"v3-{trial.shots}", tree, "train")
        assert set(trial.examples.classes) == {class_of(support.metadata(i)) for i in range(len(support))}
        assert set(trial.examples.classes) == set(UNSEEN)
        test = open_dataset(f"v3-{trial.shots}", tree, "test")
        asked = [clip for frames in trial.queries() for clip in frames.clips]
        assert asked == [i for i in range(len(test)) for _ in range(10)]
        assert trial.source(0) == test.metadata(0).source
    assert none.examples is None


def test_v3_needs_frames_in_which_a_seen_class_sounds(save, tmp_path):
    with pytest.raises(DataError, match="v3-0, split train: in no frame does one class sound alone"):
        from_v3(save, trees.v3(tmp_path), quick(shots=(0,)))


def test_v3_has_no_table_for_two_shots(tree, save):
    with pytest.raises(UsageError, match="not for 2"):
        from_v3(save, tree, quick())


def test_examples_of_labeled_clips_show_one_class_by_their_labels(tree, save):
    clips = open_dataset("v3-0", tree, "train")
    frames = read_frames(clips, range(len(clips)), save, examples=True)
    assert len(set(frames.clips)) == len(frames) and set(frames.classes) <= set(SEEN)
    for clip, name, truth in zip(frames.clips, frames.classes, frames.full_masks, strict=True):
        sample = clips[clip]
        at = next(k for k, mask in enumerate(sample.masks) if np.array_equal(mask, truth.numpy()))
        named = sample.labels[at] == clips.classes.index(name)
        assert named.sum() > 0.9 * sample.masks[at].sum()  # cells do not see a sliver of another
