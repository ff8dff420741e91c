"""One loudness: sound decoded for any purpose is the mean of its channels, as soundfile and NumPy give it."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import soxr

from save_avs.audio import load_audio
from save_avs.datasets.clip_files import read_waveform
from save_avs.errors import MediaError
from save_avs.video import read_video_chunks
from tests.support.media_files import AudioTrack, gray, make

RATE = 16000
FORMATS = {
    "wav": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"),
    "flac": ("PCM_16", "PCM_24"),
    "aiff": ("PCM_16", "FLOAT"),
}


def noise(channels: int, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(channels).uniform(-0.9, 0.9, (rate, channels))


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
@pytest.mark.parametrize(("suffix", "subtype"), [(s, t) for s, kinds in FORMATS.items() for t in kinds])
def test_audio_is_the_mean_of_its_channels(tmp_path, suffix, subtype, channels):
    path = tmp_path / f"s.{suffix}"
    soundfile.write(path, noise(channels), RATE, subtype)
    expected = soundfile.read(path)[0].reshape(RATE, channels).mean(axis=1)
    waveform = load_audio(path, sample_rate=RATE)
    assert waveform.dtype == np.float32
    np.testing.assert_allclose(waveform, expected, atol=2e-6)
    np.testing.assert_array_equal(read_waveform(path), waveform)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampled_audio_is_that_of_soxr(tmp_path, rate):
    path = tmp_path / "s.wav"
    soundfile.write(path, noise(2, rate), rate, "FLOAT")
    expected = soxr.resample(soundfile.read(path, dtype="float32")[0].mean(axis=1), rate, RATE)
    waveform = load_audio(path, sample_rate=RATE)
    assert len(waveform) == len(expected) == RATE
    np.testing.assert_allclose(waveform, expected, atol=1e-5)


@pytest.mark.parametrize(("layout", "channels"), [("stereo", 2), ("5.1", 6)])
def test_video_and_audio_paths_have_one_loudness(tmp_path, layout, channels):
    samples = noise(channels).T.astype(np.float32)
    track = AudioTrack([(0, samples)], layout=layout, codec="pcm_f32le", format="flt")
    path = make(tmp_path / "v.mkv", gray(25), track)
    [chunk] = read_video_chunks(path, chunk=25)
    start = round(-chunk.waveform_start * RATE)
    waveform = load_audio(path, sample_rate=RATE)
    np.testing.assert_allclose(waveform, samples.mean(axis=0), atol=2e-6)
    np.testing.assert_allclose(chunk.waveform[start : start + RATE], waveform, atol=1e-6)


def test_samples_beyond_full_scale_are_kept(tmp_path):
    soundfile.write(tmp_path / "s.wav", np.full(100, 1.5), RATE, "FLOAT")
    np.testing.assert_array_equal(load_audio(tmp_path / "s.wav", sample_rate=RATE), np.float32(1.5))


def test_file_without_audio_is_refused(tmp_path):
    make(tmp_path / "v.mp4", gray(2))
    with pytest.raises(MediaError, match="audio"):
        load_audio(tmp_path / "v.mp4", sample_rate=RATE)
