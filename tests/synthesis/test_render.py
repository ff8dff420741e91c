from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from save_avs.synthesis.background import Background
from save_avs.synthesis.corpus import Cutout
from save_avs.synthesis.render import render_scene
from save_avs.synthesis.scene import AudioSource, Scene, SceneObject
from tests.support.tiny_corpus import draw_shape

GRAY = (128, 128, 128)
RED, GREEN = (200, 30, 30), (30, 200, 30)


def background() -> Background:
    return Background(np.full((90, 120, 3), GRAY, np.uint8), (0.0, 0.0, 1.0, 1.0), False, (1.0, 1.0, 1.0))


def item(group: str, color, center=(0.5, 0.5), size=0.5, shape="rectangle", **kwargs) -> SceneObject:
    return SceneObject(Cutout(group, group, np.asarray(draw_shape(shape, color))), center, size, **kwargs)


def scene(*objects: SceneObject, audio_sources: tuple[AudioSource, ...] = (), blur: float = 0.0) -> Scene:
    return Scene(background(), objects, audio_sources, duration=2.0, segments=(0.5, 1.5), blur=blur)


def audio_source(name: str, start: float, stop: float) -> AudioSource:
    return AudioSource(name, np.ones(16_000, np.float32), (start, stop))


def test_instance_map_matches_the_visible_pixels():
    frame, instances = render_scene(scene(item("a", RED)), 0.0, 60, 80)
    assert instances.dtype == np.int8
    assert np.array_equal(instances == 0, (frame == RED).all(-1))
    assert (instances == 0).sum() == 30 * 30
    ys, xs = np.nonzero(instances == 0)
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (15, 44, 25, 54)
    assert (frame[instances == -1] == GRAY).all()


def test_hidden_pixels_belong_to_the_object_in_front():
    behind, front = item("a", RED, (0.4, 0.5)), item("b", GREEN, (0.6, 0.5))
    frame, instances = render_scene(scene(behind, front), 0.0, 60, 60)
    assert np.array_equal(instances == 1, (frame == GREEN).all(-1))
    assert np.array_equal(instances == 0, (frame == RED).all(-1))
    _, alone = render_scene(scene(behind), 0.0, 60, 60)
    hidden = (alone == 0) & (instances != 0)
    assert hidden.any() and (instances[hidden] == 1).all()


def test_fully_hidden_object_has_no_pixels():
    _, instances = render_scene(scene(item("a", RED, size=0.3), item("b", GREEN, size=0.6)), 0.0, 64, 64)
    assert not (instances == 0).any()


def test_only_sounding_objects_are_marked_while_they_sound():
    left, right = item("a", RED, (0.25, 0.5), 0.3), item("b", GREEN, (0.75, 0.5), 0.3)
    turns = scene(
        left,
        right,
        audio_sources=(audio_source("a", 0.0, 1.0), audio_source("b", 1.0, 2.0), audio_source("c", 0.0, 2.0)),
    )
    assert [turns.sounding_at(t) for t in (0.0, 0.5, 1.0, 1.99, 2.0)] == [(0,), (0,), (1,), (1,), ()]
    assert turns.silent_classes() == ()
    frame, instances = render_scene(turns, 0.5, 60, 90)
    assert np.array_equal(np.isin(instances, turns.sounding_at(0.5)), (frame == RED).all(-1))


def test_object_that_never_sounds_is_listed_as_silent():
    quiet = scene(item("a", RED), item("b", GREEN), audio_sources=(audio_source("a", 0.0, 1.0),))
    assert quiet.silent_classes() == ("b",)
    muted = replace(quiet, audio_sources=())
    assert muted.silent_classes() == ("a", "b") and muted.sounding_at(0.5) == ()


def test_object_over_the_edge_is_cut_off():
    for center in ((0.15, 0.15), (0.85, 0.85), (0.15, 0.85)):
        frame, instances = render_scene(scene(item("a", RED, center)), 0.0, 60, 60)
        assert (instances == 0).sum() == 24 * 24  # of 30 x 30, six rows and columns lie outside
        assert np.array_equal(instances == 0, (frame == RED).all(-1))


def test_object_sizes_are_relative_to_the_shorter_side():
    shares = []
    for height, width in ((60, 60), (240, 240), (120, 200)):
        _, instances = render_scene(scene(item("a", RED, shape="ellipse")), 0.0, height, width)
        ys, xs = np.nonzero(instances == 0)
        assert np.ptp(ys) + 1 == pytest.approx(0.5 * min(height, width), abs=1)
        assert np.ptp(xs) + 1 == pytest.approx(0.5 * min(height, width), abs=1)
        shares.append((instances == 0).sum() / min(height, width) ** 2)
    assert shares == pytest.approx([shares[0]] * 3, rel=0.05)


def test_moving_object_is_rendered_at_its_position():
    moving = item("a", RED, (0.3, 0.5), 0.2, velocity=(0.1, 0.0))
    for time in (0.0, 1.0, 2.0):
        _, instances = render_scene(scene(moving), time, 100, 100)
        _, xs = np.nonzero(instances == 0)
        assert xs.mean() == pytest.approx(100 * (0.3 + 0.1 * time), abs=1)


def test_tints_and_blur_do_not_change_the_instance_map():
    plain = render_scene(scene(item("a", RED)), 0.0, 60, 60)
    tinted = render_scene(scene(item("a", RED, gains=(0.5, 1.0, 1.2)), blur=0.02), 0.0, 60, 60)
    assert np.array_equal(plain[1], tinted[1])
    assert not np.array_equal(plain[0], tinted[0])
    assert tuple(tinted[0][30, 30]) == (100, 30, 36)


def test_edges_belong_to_the_object_from_half_opacity():
    rgba = np.zeros((10, 10, 4), np.uint8)
    rgba[..., 3] = np.repeat([0, 100, 127, 128, 255], 2)
    ghost = SceneObject(Cutout("a", "a", rgba), (0.5, 0.5), 1.0)
    _, instances = render_scene(scene(ghost), 0.0, 10, 10)
    assert (instances == 0).any(axis=0).tolist() == [False] * 6 + [True] * 4


@pytest.mark.parametrize("height", [48, 72])
def test_background_is_cropped_not_squeezed(height):
    ramp = np.zeros((90, 120, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(120)[None, :] * 2, np.arange(90)[:, None] * 2
    still = Scene(Background(ramp, (0.0, 0.0, 1.0, 1.0), False, (1.0, 1.0, 1.0)), (), (), 1.0, (0.5,))
    frame, _ = render_scene(still, 0.0, height, 64)
    across = np.diff(frame[height // 2, :, 0].astype(int)).mean()
    down = np.diff(frame[:, 32, 1].astype(int)).mean()
    assert across == pytest.approx(down, rel=0.05)


def test_background_can_be_flipped_with_permuted_channels():
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[:32, :, 0] = 200  # red above
    turned = Background(frame, (0.0, 0.0, 1.0, 1.0), upside_down=True, channels=(2, 1, 0))
    painted, _ = render_scene(Scene(turned, (), (), 1.0, (0.5,)), 0.0, 64, 64)
    assert painted[8].max() == 0 and painted[56, 8].tolist() == [0, 0, 200]
