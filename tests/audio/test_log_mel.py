from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from save_avs.audio import is_silent, log_mel, log_mel_at
from save_avs.audio.frontend import VGGISH
from save_avs.audio.log_mel import SILENT_LOG_MEL
from tests.support.audio_reference import reference_patches

RATE = 16000


def seconds(n: float) -> np.ndarray:
    return np.arange(int(n * RATE)) / RATE


def tone(hertz: float, n: float = 2.5) -> np.ndarray:
    return (0.8 * np.sin(2 * np.pi * hertz * seconds(n))).astype(np.float32)


def noise(n: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(n * RATE))).astype(np.float32)


def chirp(n: float = 3.0) -> np.ndarray:
    t = seconds(n)
    return (0.5 * np.sin(2 * np.pi * (50 * t + 7900 / (2 * n) * t**2))).astype(np.float32)


SOUNDS = {
    "tone 60 Hz": tone(60),
    "tone 440 Hz": tone(440),
    "tone 1 kHz": tone(1000),
    "tone 7.4 kHz": tone(7400),
    "full-scale tone on a bin": (tone(1000) / 0.8).astype(np.float32),
    "chirp": chirp(),
    "noise": noise(4.0),
    "faint noise": (1e-4 * noise(2.0)).astype(np.float32),
    "click": np.eye(1, 2 * RATE, 9000, dtype=np.float32)[0],
    "silence": np.zeros(2 * RATE, dtype=np.float32),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_log_mel_equals_torchvggish(name: str) -> None:
    waveform = SOUNDS[name]
    ours, theirs = log_mel(waveform, RATE), reference_patches(waveform)
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 2e-6  # float32 arithmetic strays by 2e-4 on tones


@pytest.mark.parametrize(
    ("samples", "patches"), [(0, 0), (399, 0), (15_599, 0), (15_600, 1), (30_959, 1), (30_960, 2)]
)
def test_incomplete_patch_is_dropped(samples: int, patches: int) -> None:
    waveform = noise(2.0)[:samples]
    assert log_mel(waveform, RATE).shape == (patches, 96, 64)
    if samples >= 400:
        assert len(reference_patches(waveform)) == patches


@pytest.mark.parametrize("sample_rate", [8000, 22_050, 44_100, 48_000])
def test_other_sample_rates_are_resampled(sample_rate: int) -> None:
    def at(r: int) -> np.ndarray:
        t = np.arange(int(3 * r)) / r
        return (0.3 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * 2500 * t)).astype(np.float32)

    direct, resampled = log_mel(at(RATE), RATE), log_mel(at(sample_rate), sample_rate)
    assert resampled.shape == direct.shape
    assert np.abs(resampled[1] - direct[1]).max() < 1e-3  # the middle patch is far from the ends' ringing


def test_log_mel_at_the_centers_of_log_mel() -> None:
    waveform = noise(4.0)
    expected = log_mel(waveform, RATE)
    centers = (np.arange(len(expected)) * 96 * 160 + VGGISH.num_samples // 2) / RATE
    np.testing.assert_array_equal(log_mel_at(waveform, RATE, centers), expected)


@pytest.mark.parametrize("sample_rate", [8000, 44_100])
def test_log_mel_at_resamples_other_sample_rates(sample_rate: int) -> None:
    def sound(rate: int) -> np.ndarray:
        t = np.arange(3 * rate) / rate
        return (0.3 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * 2500 * t)).astype(np.float32)

    times = [1.1, 1.5, 1.93]
    expected = log_mel_at(sound(RATE), RATE, times)
    assert np.abs(log_mel_at(sound(sample_rate), sample_rate, times) - expected).max() < 1e-3


def test_log_mel_at_is_centered_to_the_sample() -> None:
    waveform, times = noise(3.0), np.random.default_rng(1).uniform(0.0, 3.0, 40)
    together = log_mel_at(waveform, RATE, times)
    for patch, time in zip(together, times, strict=True):
        start = round(time * RATE) - VGGISH.num_samples // 2
        padded = np.pad(waveform, RATE)[RATE + start : RATE + start + VGGISH.num_samples]
        np.testing.assert_allclose(patch, reference_patches(padded)[0], atol=2e-6)


def test_chunk_has_the_patches_of_the_complete_waveform() -> None:
    waveform, fps = noise(6.0), 30000 / 1001
    times = np.arange(int(6 * fps)) / fps
    whole = log_mel_at(waveform, RATE, times)
    begin, end = 32_005, 70_001  # odd samples: not on any 10 ms grid
    inside = (times - 0.5 > begin / RATE) & (times + 0.5 < end / RATE)
    part = log_mel_at(waveform[begin:end], RATE, times[inside], waveform_start=begin / RATE)
    assert inside.sum() > 30
    np.testing.assert_allclose(part, whole[inside], atol=1e-6)


def test_outside_of_the_waveform_is_silence() -> None:
    waveform = noise(2.0)
    before, start, after = log_mel_at(waveform, RATE, [-1e6, 0.0, 1e6])
    assert np.all(before == np.float32(SILENT_LOG_MEL))
    assert np.all(after == np.float32(SILENT_LOG_MEL))
    assert np.all(start[:46] == np.float32(SILENT_LOG_MEL))  # windows that end before 0
    assert np.all(start[50:].mean(axis=1) > SILENT_LOG_MEL + 1)


@pytest.mark.parametrize("sample_rate", [RATE, 44_100])
def test_empty_waveform_is_silence(sample_rate: int) -> None:
    log_mel = log_mel_at(np.zeros(0, dtype=np.float32), sample_rate, [0.0, 1.0])
    assert log_mel.shape == (2, 96, 64)
    assert np.all(log_mel == np.float32(SILENT_LOG_MEL))


def test_no_times_give_no_patches() -> None:
    assert log_mel_at(noise(1.0), RATE, []).shape == (0, 96, 64)


def test_invalid_waveforms_are_refused() -> None:
    with pytest.raises(ValueError, match="float vector"):
        log_mel(np.zeros(RATE, dtype=np.int16), RATE)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="float vector"):
        log_mel(np.zeros((RATE, 2), dtype=np.float32), RATE)
    with pytest.raises(ValueError, match="rate"):
        log_mel(noise(1.0), 0)
    with pytest.raises(ValueError, match="finite"):
        log_mel_at(noise(1.0), RATE, [float("nan")])


def test_log_mel_does_not_import_torch() -> None:
    code = "import sys, save_avs.audio as a; a.log_mel; sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}
        ).returncode
        == 0
    )


def test_is_silent_finds_digital_silence_only() -> None:
    names = ["silence", "click", "faint noise", "tone 60 Hz"]
    patches = np.stack([log_mel(SOUNDS[name], RATE)[0] for name in names])
    assert is_silent(patches).tolist() == [True, False, False, False]
    rounded = np.random.default_rng(0).integers(-1, 2, RATE).astype(np.float32) / 2**15
    assert not is_silent(log_mel(rounded, RATE)).any()  # the last bit of 16-bit sound
    assert is_silent(log_mel(rounded / 1000, RATE)).all()
