from __future__ import annotations

import numpy as np
import pytest

from save_avs.audio.log_mel import SILENCE
from save_avs.data.corpus import RATE
from save_avs.data.mix import FADE_S, mix
from save_avs.data.scene import Voice, noise_voice
from save_avs.data.streams import hear


def noise(seed: int, seconds: float = 0.7) -> np.ndarray:
    return (0.05 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)


VOICES = (
    Voice("a", noise(1), (0.0, 2.5), gain=0.8, speed=1.06, offset=0.31, gap=0.11),
    Voice("b", noise(2), (1.0, 3.0), speed=0.93, offset=0.05),
    Voice("c", noise(3), (0.5, 0.9), gain=1.5, gap=0.2),
    Voice(None, noise(4, 2.0), (0.0, 3.0), gain=0.01, offset=1.2),
)


@pytest.mark.parametrize("cut", [0.25, 0.50003, 1.0, 1.73, 2.5])
def test_windows_join_without_a_seam(cut):
    joined = np.concatenate([mix(VOICES, -0.5, cut), mix(VOICES, cut, 3.4)])
    whole = mix(VOICES, -0.5, 3.4)
    assert joined.shape == whole.shape
    assert np.allclose(joined, whole, atol=1e-6)


def test_a_voice_sounds_within_its_span_alone():
    wave = mix(VOICES[2:3], 0.0, 2.0)
    on, off = int(0.5 * RATE), int(0.9 * RATE)
    assert not wave[:on].any() and not wave[off:].any()
    assert np.abs(wave[on:off]).max() > 0.02


def test_voices_add_up_and_are_clipped():
    parts = sum(mix([v], 0.0, 2.0) for v in VOICES)
    assert np.allclose(mix(VOICES, 0.0, 2.0), np.clip(parts, -1, 1), atol=1e-6)
    loud = Voice("a", np.full(RATE, 0.9, np.float32), (0.0, 1.0), gain=5.0)
    assert mix([loud], 0.1, 0.9).max() == 1.0


def test_a_sound_repeats_after_its_gap():
    tone = np.linspace(0.1, 0.5, RATE // 2, dtype=np.float32)
    wave = mix([Voice("a", tone, (0.0, 3.0), gap=0.25)], 0.0, 3.0)
    period = int(0.75 * RATE)
    steady = slice(int(FADE_S * RATE), period)
    assert np.allclose(wave[steady], wave[period + steady.start : 2 * period])
    assert not wave[int(0.5 * RATE) : period].any()


def test_spans_fade_in_and_out():
    wave = mix([Voice("a", np.full(RATE, 0.5, np.float32), (0.0, 1.0))], 0.0, 1.0)
    fade = int(FADE_S * RATE)
    assert wave[0] == 0.0 and np.all(np.diff(wave[:fade]) > 0)
    assert np.allclose(wave[fade:-fade], 0.5)


def test_speed_shifts_the_pitch():
    tone = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE).astype(np.float32)
    wave = mix([Voice("a", 0.5 * tone, (0.0, 1.0), speed=1.1)], 0.1, 0.9)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    assert np.fft.rfftfreq(len(wave), 1 / RATE)[spectrum.argmax()] == pytest.approx(550, abs=2)


def test_no_voice_is_digital_silence():
    assert not mix((), 0.0, 1.0).any()
    assert np.all(hear((), [0.6]) == np.float32(SILENCE))


def test_background_noise_is_faint():
    levels = []
    for seed in range(30):
        wave = mix([noise_voice(np.random.default_rng(seed), (0.0, 2.0))], 0.1, 1.9)
        levels.append(20 * np.log10(np.sqrt((wave**2).mean())))
    assert min(levels) > -81 and max(levels) < -43


def test_a_patch_hears_what_is_around_its_time():
    early = hear(VOICES, [0.7])
    assert early.shape == (1, 96, 64)
    both = hear(VOICES, [0.7, 2.0])
    assert np.array_equal(both[:1], early)
    late_only = tuple(v for v in VOICES if v.span[1] > 1.4)
    assert np.array_equal(hear(late_only, [2.0]), both[1:])
