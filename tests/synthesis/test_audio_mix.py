from __future__ import annotations

import numpy as np
import pytest

from save_avs.audio.log_mel import SAMPLE_RATE, SILENT_LOG_MEL
from save_avs.synthesis.render import FADE_S, mix_audio
from save_avs.synthesis.sample_streams import scene_log_mel
from save_avs.synthesis.scene import AudioSource, random_noise


def noise(seed: int, seconds: float = 0.7) -> np.ndarray:
    return (0.05 * np.random.default_rng(seed).standard_normal(int(seconds * SAMPLE_RATE))).astype(np.float32)


VOICES = (
    AudioSource("a", noise(1), (0.0, 2.5), gain=0.8, speed=1.06, offset=0.31, gap=0.11),
    AudioSource("b", noise(2), (1.0, 3.0), speed=0.93, offset=0.05),
    AudioSource("c", noise(3), (0.5, 0.9), gain=1.5, gap=0.2),
    AudioSource(None, noise(4, 2.0), (0.0, 3.0), gain=0.01, offset=1.2),
)


@pytest.mark.parametrize("cut", [0.25, 0.50003, 1.0, 1.73, 2.5])
def test_mixed_windows_join_without_a_seam(cut):
    joined = np.concatenate([mix_audio(VOICES, -0.5, cut), mix_audio(VOICES, cut, 3.4)])
    complete = mix_audio(VOICES, -0.5, 3.4)
    assert joined.shape == complete.shape
    assert np.allclose(joined, complete, atol=1e-6)


def test_audio_source_sounds_only_within_its_span():
    waveform = mix_audio(VOICES[2:3], 0.0, 2.0)
    on, off = int(0.5 * SAMPLE_RATE), int(0.9 * SAMPLE_RATE)
    assert not waveform[:on].any() and not waveform[off:].any()
    assert np.abs(waveform[on:off]).max() > 0.02


def test_audio_sources_add_up_and_are_clipped():
    parts = sum(mix_audio([v], 0.0, 2.0) for v in VOICES)
    assert np.allclose(mix_audio(VOICES, 0.0, 2.0), np.clip(parts, -1, 1), atol=1e-6)
    loud = AudioSource("a", np.full(SAMPLE_RATE, 0.9, np.float32), (0.0, 1.0), gain=5.0)
    assert mix_audio([loud], 0.1, 0.9).max() == 1.0


def test_audio_source_repeats_after_its_gap():
    tone = np.linspace(0.1, 0.5, SAMPLE_RATE // 2, dtype=np.float32)
    waveform = mix_audio([AudioSource("a", tone, (0.0, 3.0), gap=0.25)], 0.0, 3.0)
    period = int(0.75 * SAMPLE_RATE)
    steady = slice(int(FADE_S * SAMPLE_RATE), period)
    assert np.allclose(waveform[steady], waveform[period + steady.start : 2 * period])
    assert not waveform[int(0.5 * SAMPLE_RATE) : period].any()


def test_spans_fade_in_and_out():
    waveform = mix_audio([AudioSource("a", np.full(SAMPLE_RATE, 0.5, np.float32), (0.0, 1.0))], 0.0, 1.0)
    fade = int(FADE_S * SAMPLE_RATE)
    assert waveform[0] == 0.0 and np.all(np.diff(waveform[:fade]) > 0)
    assert np.allclose(waveform[fade:-fade], 0.5)


def test_speed_shifts_the_pitch():
    tone = np.sin(2 * np.pi * 500 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    waveform = mix_audio([AudioSource("a", 0.5 * tone, (0.0, 1.0), speed=1.1)], 0.1, 0.9)
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    assert np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE)[spectrum.argmax()] == pytest.approx(550, abs=2)


def test_mix_without_sources_is_digital_silence():
    assert not mix_audio((), 0.0, 1.0).any()
    assert np.all(scene_log_mel((), [0.6]) == np.float32(SILENT_LOG_MEL))


def test_background_noise_is_faint():
    levels = []
    for seed in range(30):
        waveform = mix_audio([random_noise(np.random.default_rng(seed), (0.0, 2.0))], 0.1, 1.9)
        levels.append(20 * np.log10(np.sqrt((waveform**2).mean())))
    assert min(levels) > -81 and max(levels) < -43


def test_log_mel_patch_covers_the_audio_around_its_time():
    early = scene_log_mel(VOICES, [0.7])
    assert early.shape == (1, 96, 64)
    both = scene_log_mel(VOICES, [0.7, 2.0])
    assert np.array_equal(both[:1], early)
    late_only = tuple(v for v in VOICES if v.span[1] > 1.4)
    assert np.array_equal(scene_log_mel(late_only, [2.0]), both[1:])
