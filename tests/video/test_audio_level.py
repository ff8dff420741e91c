from __future__ import annotations

import numpy as np
import pytest

from save_avs.video.audio_level import LevelMeter

RATE = 16000


def measured(*parts: np.ndarray) -> LevelMeter:
    meter = LevelMeter(RATE)
    for part in parts:
        meter.add(part.astype(np.float32))
    return meter


def sine(seconds: float, dbfs: float) -> np.ndarray:
    """A tone whose RMS is at a level."""
    return 2**0.5 * 10 ** (dbfs / 20) * np.sin(2 * np.pi * 400 * np.arange(round(seconds * RATE)) / RATE)


@pytest.mark.parametrize("level", [-70.0, -45.0, -20.0, -6.0])
def test_level_of_a_tone_is_its_rms(level):
    assert measured(sine(2, level)).level == pytest.approx(level, abs=0.01)


def test_pauses_and_a_click_hardly_count():
    click = np.zeros(2 * RATE)
    click[100] = 1.0
    sound = np.concatenate(
        [
            np.zeros(10 * RATE),
            sine(20, -40),
            np.zeros(10 * RATE),
            sine(4, -40) + np.resize(click, 4 * RATE) * 0.5,
        ]
    )
    assert measured(sound).level == pytest.approx(-40, abs=1)


@pytest.mark.parametrize("size", [1, 999, 6400, 100_000])
def test_level_does_not_depend_on_the_pieces(size):
    sound = sine(3, -30) * np.linspace(0.1, 1, 3 * RATE)
    if size == 1:
        sound = sound[:7000]
    pieces = [sound[i : i + size] for i in range(0, len(sound), size)]
    assert measured(*pieces).level == pytest.approx(measured(sound).level, abs=1e-4)


def test_sound_shorter_than_a_block_has_a_level():
    assert measured(sine(0.1, -12)).level == pytest.approx(-12, abs=0.01)


@pytest.mark.parametrize(
    ("level", "gain"), [(-50.0, 30.0), (-20.5, 0.5), (-20.0, 0.0), (-3.0, 0.0), (-79.0, 59.0), (-90.0, 0.0)]
)
def test_gain_raises_to_the_target_and_never_lowers(level, gain):
    assert 20 * np.log10(measured(sine(1, level)).gain) == pytest.approx(gain, abs=0.02)


@pytest.mark.parametrize("sound", [np.zeros(0), np.zeros(RATE)])
def test_no_sound_has_no_level(sound):
    assert measured(sound).level == -np.inf and measured(sound).gain == 1
