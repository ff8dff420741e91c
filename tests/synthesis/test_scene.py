from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.render import mix_audio, render_scene
from save_avs.synthesis.sample_streams import (
    AudioTaggingStream,
    PromptStream,
    SceneStream,
    group_names,
    scene_log_mel,
)
from save_avs.synthesis.scene import Scene, SceneOptions, random_scene

OPTIONS = SceneOptions(num_objects=(1, 3))


def scenes(corpus: Corpus, options: SceneOptions, count: int = 60, **kwargs) -> list[Scene]:
    return [random_scene(np.random.default_rng((5, i)), corpus, options, **kwargs) for i in range(count)]


def same(a: tuple, b: tuple) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_item_i_depends_on_seed_and_i_alone(train):
    stream = SceneStream(train, OPTIONS, 64, 2, seed=3)
    first = [stream[i].sample for i in (0, 1, 2)]
    again = [SceneStream(train, OPTIONS, 64, 2, seed=3)[i].sample for i in (2, 0)]
    for a, b in ((first[2], again[0]), (first[0], again[1])):
        assert same((a.frames, a.log_mel, a.masks), (b.frames, b.log_mel, b.masks))
    other = SceneStream(train, OPTIONS, 64, 2, seed=4)[0].sample
    assert not np.array_equal(first[0].frames, other.frames)
    assert not np.array_equal(first[0].frames, first[1].frames)


def test_prompt_and_tagging_streams_are_repeatable(train):
    objects = PromptStream(train, OPTIONS, 64, seed=1)
    assert same(objects[4][:2], objects[4][:2]) and same(objects[4][3:], objects[4][3:])
    sounds = AudioTaggingStream(train, OPTIONS, seed=1)
    assert same(sounds[4], sounds[4])


def test_silent_object_is_never_of_a_sounding_class(train):
    for scene in scenes(train, SceneOptions(num_objects=(2, 4)), segments=3):
        for time in scene.segments:
            sources = scene.sounding_at(time)
            sounding = {scene.objects[i].cutout.group for i in sources}
            silent = {t.cutout.group for i, t in enumerate(scene.objects) if i not in sources}
            assert not sounding & silent
            assert not silent & {v.name for v in scene.audio_sources if v.active_at(time)}


def test_silent_groups_have_no_audio_source_and_no_mask(train):
    for scene in scenes(train, SceneOptions(num_objects=(3, 4), silent_object_prob=0.9)):
        never = {i for i, t in enumerate(scene.objects) if t.cutout.group == "silent"}
        assert not never & {i for time in scene.segments for i in scene.sounding_at(time)}
        assert all(v.name != "silent" for v in scene.audio_sources)


def test_source_counts_follow_their_probabilities(train):
    options = SceneOptions(
        num_objects=(3, 3), silent_object_prob=0.0, source_count_probs=(0.2, 0.5, 0.3), off_screen_prob=0.5
    )
    counts = Counter(len(s.sounding_at(s.segments[0])) for s in scenes(train, options, 400))
    assert {n: c / 400 for n, c in counts.items()} == pytest.approx({0: 0.2, 1: 0.5, 2: 0.3}, abs=0.07)


def test_off_screen_sounds_are_of_classes_not_in_view_and_mark_nothing(train):
    options = SceneOptions(num_objects=(1, 2), source_count_probs=(1.0, 0.0, 0.0), off_screen_prob=1.0)
    for scene in scenes(train, options, 30):
        heard = {v.name for v in scene.audio_sources} - {None}
        assert len(heard) == 1 and not heard & {t.cutout.group for t in scene.objects}
        assert scene.sounding_at(scene.segments[0]) == ()


def test_no_off_screen_sound_when_every_class_is_in_view(train):
    options = SceneOptions(
        num_objects=(4, 4), silent_object_prob=0.0, source_count_probs=(1.0, 0.0, 0.0), off_screen_prob=1.0
    )
    for scene in scenes(train, options, 5):
        assert {v.name for v in scene.audio_sources} == {None}


def test_sounding_objects_change_between_segments(train):
    options = SceneOptions(num_objects=(3, 3), silent_object_prob=0.0)
    turns = [
        s.sounding_at(t) for s in scenes(train, options, 10, segments=4, segment_s=2.0) for t in s.segments
    ]
    assert len(set(turns)) > 3
    (scene, *_) = scenes(train, options, 1, segments=4, segment_s=2.0)
    assert scene.duration == 8.0 and scene.segments == (1.0, 3.0, 5.0, 7.0)


def test_mask_marks_the_classes_in_the_audio(train):
    """Every source contributes to the sound at the time it is a source, and to no other time."""
    options = SceneOptions(num_objects=(3, 3), silent_object_prob=0.0, augment=False)
    for scene in scenes(train, options, 8, segments=2):
        for i, time in enumerate(scene.segments):
            for audio_source in (v for v in scene.audio_sources if v.name is not None):
                alone = mix_audio([audio_source], time - 0.3, time + 0.3)
                assert (np.abs(alone).max() > 1e-3) == audio_source.active_at(time)
                in_view = [k for k, t in enumerate(scene.objects) if t.cutout.group == audio_source.name]
                assert (set(in_view) <= set(scene.sounding_at(time))) or not audio_source.active_at(time)
            expected = scene_log_mel(
                tuple(v for v in scene.audio_sources if v.active_at(scene.segments[i])), [time]
            )
            assert np.array_equal(scene_log_mel(scene.audio_sources, [time]), expected)


def test_training_scenes_use_training_material_only(train, test):
    """Drawn scenes show the split's looks and photographs, and sound from its stretches."""
    for corpus in (train, test):
        looks = {id(c) for group in corpus.cutouts.values() for c in group}
        images = {id(p) for p in corpus.backgrounds}
        waves = {id(w) for sounds in corpus.sounds.values() for w in sounds}
        for scene in scenes(corpus, SceneOptions(texture_prob=0.0)):
            assert {id(t.cutout) for t in scene.objects} <= looks
            assert id(scene.background.image) in images
            assert {id(v.waveform) for v in scene.audio_sources if v.name is not None} <= waves


def test_moving_objects_turn_back_before_the_edge(train):
    options = SceneOptions(num_objects=(3, 3), motion=True)
    objects = [t for s in scenes(train, options, 20, segments=4, segment_s=5.0) for t in s.objects]
    assert 0.3 < np.mean([any(t.velocity) for t in objects]) < 0.9
    for item in objects:
        places = np.array([item.position_at(t) for t in np.arange(0, 20, 0.1)])
        assert np.all(places >= np.minimum(item.center, 0.15) - 1e-9)
        assert np.all(places <= np.maximum(item.center, 0.85) + 1e-9)
        steps = np.abs(np.diff(places, axis=0))
        speed = 0.1 * np.abs(item.velocity)
        assert np.all(steps <= speed + 1e-9)
        assert np.all((np.abs(steps - speed) < 1e-9).mean(axis=0) > 0.9)  # all but the turns


def test_still_object_does_not_move(train):
    objects = [t for s in scenes(train, SceneOptions(augment=False)) for t in s.objects]
    assert any(min(t.center) < 0.15 or max(t.center) > 0.85 for t in objects)
    assert all(t.position_at(1.0) == t.center for t in objects)


def test_still_scene_is_rendered_once(train):
    still = SceneStream(train, SceneOptions(augment=False), 64, 2, seed=2)[0].sample
    assert np.array_equal(still.frames[0], still.frames[1])
    fast = SceneOptions(num_objects=(4, 4), motion=True, augment=False)
    moving = [SceneStream(train, fast, 64, 2, seed=2)[i].sample for i in range(5)]
    assert any(not np.array_equal(m.frames[0], m.frames[1]) for m in moving)


def test_streamed_masks_match_the_rendered_sources(train):
    stream = SceneStream(train, OPTIONS, 64, 2, seed=8)
    for i in range(10):
        sample, shown, groups, _ = stream[i]
        scene = random_scene(np.random.default_rng((8, i)), train, OPTIONS, segments=2)
        _, instances = render_scene(scene, 0.0, 64, 64)
        assert np.array_equal(shown, [instances, instances])
        assert [group_names(train)[g] for g in groups] == [t.cutout.group for t in scene.objects]
        for view, time in enumerate(scene.segments):
            assert np.array_equal(sample.masks[view], np.isin(instances, scene.sounding_at(time)))


def test_prompt_lies_on_its_object(train):
    stream = PromptStream(train, OPTIONS, 96, seed=6)
    for i in range(20):
        sample = stream[i]
        x, y = sample.point.astype(int)
        assert sample.mask[y, x] or not sample.mask.any()
        ys, xs = np.nonzero(sample.mask)
        tight = np.array([xs.min(), ys.min(), xs.max(), ys.max()])
        slack = 0.08 * max(tight[2] - tight[0], tight[3] - tight[1]) + 1e-3
        assert np.abs(sample.box - tight).max() <= slack


def test_tagging_targets_are_the_classes_in_the_mixture(train):
    stream = AudioTaggingStream(train, SceneOptions(source_count_probs=(0.0, 1.0, 0.0)), seed=6)
    for i in range(10):
        sample = stream[i]
        assert sample.targets.sum() == 1.0 and sample.log_mel.shape == (96, 64)
    quiet = AudioTaggingStream(
        train, SceneOptions(source_count_probs=(1.0, 0.0, 0.0), off_screen_prob=0.0), seed=6
    )
    assert all(quiet[i].targets.sum() == 0 for i in range(5))
