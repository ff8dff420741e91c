from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from save_avs.audio.augment import augment_waveform, match_rms, mix_at_snr

RATE = 16_000
TONE = (0.2 * np.sin(np.arange(RATE) * 0.1)).astype(np.float32)
SILENCE = np.zeros(100, np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def no_other() -> np.ndarray:
    pytest.fail("no other waveform is needed")


def power(waveform: np.ndarray) -> float:
    return float(np.square(waveform, dtype=np.float64).mean())


augment = partial(augment_waveform, sample_rate=RATE, other=no_other)


def test_augment_waveform_changes_nothing_by_default():
    assert np.array_equal(augment(TONE, rng=rng()), TONE)


def test_gain_stays_within_bounds():
    gains = [np.abs(augment(TONE, rng=rng(seed), gain_db=6)).max() / np.abs(TONE).max() for seed in range(40)]
    assert 10 ** (-6 / 20) <= min(gains) < 0.7 and 1.4 < max(gains) <= 10 ** (6 / 20)


def test_augmented_waveform_is_clipped():
    assert np.abs(augment(4 * TONE, rng=rng(3), gain_db=60)).max() <= 1


def test_time_shift_is_circular_and_stays_within_bounds():
    pulse = np.zeros(RATE, np.float32)
    pulse[8_000] = 1
    positions = [int(augment(pulse, rng=rng(seed), shift_s=0.25).argmax()) for seed in range(40)]
    assert 4_000 <= min(positions) < 6_000 and 10_000 < max(positions) <= 12_000


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_mix_at_snr_gives_the_requested_ratio(snr_db):
    noise = rng().standard_normal(300).astype(np.float32)  # shorter than the tone: repeated
    added = mix_at_snr(TONE, noise, snr_db) - TONE
    assert 10 * np.log10(power(TONE) / power(added)) == pytest.approx(snr_db, abs=0.05)


def test_white_noise_has_the_requested_ratio():
    noisy = augment(TONE, rng=rng(), noise_db=(20, 20))
    assert noisy.dtype == np.float32
    assert 10 * np.log10(power(TONE) / power(noisy - TONE)) == pytest.approx(20, abs=0.1)


def test_mix_at_snr_with_silence_changes_nothing():
    assert np.array_equal(mix_at_snr(TONE, SILENCE, 0.0), TONE)
    assert np.array_equal(mix_at_snr(SILENCE, TONE, 0.0), SILENCE)


def test_match_rms_takes_length_and_level_of_the_reference():
    matched = match_rms(np.array([1.0, -1.0, 0.5], np.float32), np.full(1000, 0.2, np.float32))
    assert len(matched) == 1000 and power(matched) ** 0.5 == pytest.approx(0.2, rel=1e-5)
    assert not match_rms(SILENCE, TONE).any() and not match_rms(TONE, SILENCE).any()


def test_mix_is_the_probability_of_another_clip():
    other = np.ones(100, np.float32)
    results = [
        augment(TONE, rng=rng(seed), other=lambda: other, mix=0.5, mix_db=(6, 6)) for seed in range(60)
    ]
    mixed = [waveform for waveform in results if not np.array_equal(waveform, TONE)]
    assert 15 < len(mixed) < 45
    assert np.ptp(mixed[0] - TONE) < 1e-6
    assert power(mixed[0] - TONE) == pytest.approx(power(TONE) / 10**0.6, 1e-3)
