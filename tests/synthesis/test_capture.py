"""Cameras and rooms of training scenes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.synthesis.capture import Camera, random_camera, reverberate
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.render import render_scene
from save_avs.synthesis.scene import SceneOptions, random_scene

NEUTRAL = Camera(1.0, 1.0, 1.0, noise=0.0, quality=95, seed=0)


@pytest.fixture
def frame() -> np.ndarray:
    ramp = np.linspace(30, 200, 64)[:, None] + np.linspace(0, 30, 64)
    return np.stack([ramp, ramp / 2, 255 - ramp], axis=2).astype(np.uint8)


def test_neutral_camera_keeps_the_frame(frame: np.ndarray) -> None:
    assert np.abs(NEUTRAL(frame).astype(int) - frame).mean() < 2


def test_camera_changes_what_it_says(frame: np.ndarray) -> None:
    dark = replace(NEUTRAL, brightness=0.5)(frame)
    assert dark.mean() == pytest.approx(frame.mean() / 2, rel=0.03)
    gray = replace(NEUTRAL, saturation=0.0)(frame).astype(int)
    assert np.abs(gray - gray.mean(axis=2, keepdims=True)).max() < 3
    noisy = replace(NEUTRAL, noise=10.0)(frame).astype(float)
    assert (noisy - NEUTRAL(frame)).std() == pytest.approx(10, rel=0.3)
    assert np.array_equal(noisy, replace(NEUTRAL, noise=10.0)(frame))
    checks = np.indices((64, 64)).sum(0)[..., None] % 2 * np.full(3, 200, np.uint8)
    coarse = replace(NEUTRAL, resolution=0.25)(checks.astype(np.uint8))
    assert coarse.shape == checks.shape and np.abs(coarse.astype(int) - 100).max() < 12


def test_room_rings_after_a_click_and_keeps_the_level() -> None:
    click = np.zeros(2 * SAMPLE_RATE, np.float32)
    click[0] = 1.0
    for seed in range(5):
        wet = reverberate(np.random.default_rng(seed), click)
        assert len(wet) == 2 * SAMPLE_RATE
        assert (wet**2).mean() == pytest.approx((click**2).mean(), rel=1e-3)
        sound = np.roll(wet, -int(np.abs(wet).argmax())) / np.abs(wet).max()
        tail = [
            (sound[int(a * SAMPLE_RATE) : int(b * SAMPLE_RATE)] ** 2).sum()
            for a, b in ((0.01, 0.1), (1.0, 1.09))
        ]
        assert tail[0] > 1e-4 and tail[1] < 1e-6 * tail[0]


def test_scene_options_decide_who_has_a_camera_and_what_is_beneath() -> None:
    corpus = Corpus.load("sample", "train")

    def scene(seed: int, **options: float):
        return random_scene(np.random.default_rng(seed), corpus, SceneOptions(**options))

    plain, captured = scene(0), scene(0, camera_prob=1.0)
    assert plain.camera is None and captured.camera is not None
    assert captured.objects == plain.objects
    frame, instances = render_scene(captured, 0.0, 64, 64)
    bare, same = render_scene(replace(captured, camera=None), 0.0, 64, 64)
    assert np.array_equal(frame, captured.camera(bare)) and np.array_equal(instances, same)
    beneath = [scene(seed, beneath_prob=1.0) for seed in range(10)]
    unnamed = [[s for s in one.audio_sources if s.name is None] for one in beneath]
    assert all(len(sources) == 2 for sources in unnamed)  # the noise, and the sound of nobody in view
    assert random_camera(np.random.default_rng(0)) == random_camera(np.random.default_rng(0))
