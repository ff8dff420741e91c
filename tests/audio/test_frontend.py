"""Front-ends against the public implementations of the networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers.audio_utils import mel_filter_bank, spectrogram

from save_avs.audio import log_mel_at
from save_avs.audio.frontend import (
    AISFX,
    OPENL3_MEL128,
    OPENL3_MEL256,
    PANNS_16K,
    VGGISH,
    YAMNET,
    Frontend,
    mel_filters,
)
from tests.support.audio_reference import chirp, cnn14, openl3, port, reference_patches

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter")
FRONTENDS = {
    "vggish": VGGISH,
    "yamnet": YAMNET,
    "panns-16k": PANNS_16K,
    "openl3-mel128": OPENL3_MEL128,
    "openl3-mel256": OPENL3_MEL256,
    "aisfx": AISFX,
}


@pytest.mark.parametrize("frontend", FRONTENDS.values(), ids=FRONTENDS)
def test_patch_fills_its_shape(frontend: Frontend) -> None:
    waveform = 0.1 * np.random.default_rng(0).standard_normal(2 * frontend.sample_rate)
    patches = log_mel_at(waveform.astype(np.float32), frontend.sample_rate, [1.0, 1.0], frontend=frontend)
    assert patches.shape == (2, *frontend.shape) and np.isfinite(patches).all()
    assert patches.std() > 0.2 and np.array_equal(*patches)
    assert frontend.duration <= 1.0  # the audio that `read_video_chunks` reads around a frame


@pytest.mark.parametrize("frontend", FRONTENDS.values(), ids=FRONTENDS)
def test_patch_is_centered_on_its_time(frontend: Frontend) -> None:
    click = np.zeros(2 * frontend.sample_rate + 1, np.float32)
    click[frontend.sample_rate] = 1.0
    (patch,) = log_mel_at(click, frontend.sample_rate, [1.0], frontend=frontend)
    loud = np.flatnonzero(patch.max(axis=1) > patch.max() - 1)
    assert abs(loud.mean() - (frontend.num_frames - 1) / 2) <= 0.5


def test_panns_frontend_equals_torchlibrosa() -> None:
    net, waveform = cnn14(), chirp(16_000)
    theirs = net.logmel_extractor(net.spectrogram_extractor(torch.from_numpy(waveform)[None]))[0, 0].numpy()
    ours = log_mel_at(waveform, 16_000, [0.5], frontend=PANNS_16K)[0]
    assert ours.shape == theirs.shape == PANNS_16K.shape
    assert theirs.max() - theirs.min() > 40
    assert np.abs(ours - theirs).max() < 0.02  # float32 there; in quiet bands decibels magnify it
    exact = spectrogram(
        waveform.astype(np.float64),
        np.hanning(513)[:-1],
        512,
        160,
        power=2.0,
        mel_filters=mel_filters(PANNS_16K.mel, 16_000, 512),
        log_mel="dB",
        dtype=np.float64,  # pyright: ignore[reportArgumentType]
    )
    assert np.abs(ours - exact.T).max() < 1e-4


def test_aisfx_frontend_equals_its_formula() -> None:
    waveform = chirp(AISFX.sample_rate)[: AISFX.num_samples]
    filters = mel_filter_bank(
        1025, 96, 0.0, 22_050.0, 44_100, mel_scale="kaldi", triangularize_in_mel_space=True
    )
    power = spectrogram(
        waveform.astype(np.float64),
        np.hanning(2048),
        2048,
        1024,
        power=2.0,
        center=False,
        mel_filters=filters / filters.sum(axis=0),
        mel_floor=0.0,
        dtype=np.float64,  # pyright: ignore[reportArgumentType]
    )
    ours = log_mel_at(waveform, 44_100, [AISFX.duration / 2], frontend=AISFX)[0]
    assert ours.shape == power.T.shape == (42, 96) and ours.max() > 4
    assert np.abs(ours - np.log10(1 + 1e4 * power.T)).max() < 1e-6


def test_aisfx_frontend_equals_essentia() -> None:
    """Essentia computed the patches that the network was trained on."""
    essentia = pytest.importorskip("essentia.standard", reason="essentia is not installed")
    waveform = chirp(AISFX.sample_rate)[: AISFX.num_samples]
    window, spectrum = essentia.Windowing(type="hann", normalized=False), essentia.Spectrum(size=2048)
    bands = essentia.MelBands(
        inputSize=1025,
        numberBands=96,
        sampleRate=44_100,
        lowFrequencyBound=0,
        highFrequencyBound=22_050,
        warpingFormula="htkMel",
        weighting="warping",
        normalize="unit_sum",
        type="power",
        log=False,
    )
    frames = essentia.FrameGenerator(waveform, frameSize=2048, hopSize=1024, startFromZero=True)
    theirs = np.array([bands(spectrum(window(frame))) for frame in frames])[:42]
    ours = log_mel_at(waveform, 44_100, [AISFX.duration / 2], frontend=AISFX)[0]
    assert np.abs(ours - np.log10(1 + 1e4 * theirs)).max() < 1e-4


@pytest.mark.parametrize(("frontend", "bands"), [(OPENL3_MEL128, 128), (OPENL3_MEL256, 256)])
def test_openl3_frontend_equals_torchopenl3(frontend: Frontend, bands: int) -> None:
    waveform = chirp(48_000)
    theirs = openl3(bands, 512).speclayer(torch.from_numpy(waveform)[None, None])[0, :, :, 0].numpy().T
    ours = log_mel_at(waveform, 48_000, [0.5], frontend=frontend)[0]
    assert ours.shape == theirs.shape == frontend.shape
    silent = (mel_filters(frontend.mel, 48_000, 2048) == 0).all(0)  # low bands that no bin falls into
    assert ours.max() == 0 and (ours[:, silent] == -80).all() and ours[:, ~silent].min() > -80
    assert silent.sum() == (0 if bands == 128 else 2)
    assert np.abs(ours - theirs).max() < 0.02


def test_openl3_frontend_of_silence_and_of_a_click() -> None:
    silence, click = np.zeros(48_000, np.float32), np.eye(1, 48_000, 24_000, dtype=np.float32)[0]
    quiet, loud = (log_mel_at(w, 48_000, [0.5], frontend=OPENL3_MEL256)[0] for w in (silence, click))
    assert np.all(quiet == 0)
    theirs = openl3(256, 512).speclayer(torch.from_numpy(click)[None, None])[0, :, :, 0].numpy().T
    assert loud.min() == theirs.min() == -80
    assert np.abs(loud - theirs).max() < 0.02


def test_yamnet_frontend_equals_the_code_of_google() -> None:
    waveform = chirp(16_000, 3.0)
    expected = reference_patches(waveform, offset=0.001)
    times = 0.96 * np.arange(3) + 0.4875
    assert np.abs(log_mel_at(waveform, 16_000, times, frontend=YAMNET) - expected).max() < 3e-6


def test_yamnet_port_differs_by_its_triangles_alone() -> None:
    """Its frames are centered on other times, and its triangles are straight over Hz, Google's over mel."""
    waveform = chirp(16_000, 2.0)
    frames, _ = (
        port("torch_vggish_yamnet", "input_proc")
        .WaveformToInput()
        .wavform_to_log_mel(torch.from_numpy(waveform)[None], 16_000)
    )
    theirs = frames[0, 0, 2:].numpy()  # the first two frames start before the waveform
    # their frame k is centered on 160 k, ours on 160 k + 200 from the patch's first sample
    middle = (2 * 160 - 200 + YAMNET.num_samples // 2) / 16_000
    as_theirs = replace(YAMNET, mel=replace(YAMNET.mel, triangle_axis="hertz"))
    ours = log_mel_at(waveform, 16_000, [middle], frontend=as_theirs)[0, :94]
    assert np.abs(ours - theirs).max() < 1e-3
    googles = log_mel_at(waveform, 16_000, [middle], frontend=YAMNET)[0, :94]
    assert 0.005 < np.abs(googles - theirs).max() < 0.05
