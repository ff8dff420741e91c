"""Mel filter banks of the published networks against those of transformers."""

from __future__ import annotations

import numpy as np
import pytest
from transformers.audio_utils import mel_filter_bank

from save_avs.audio.frontend import (
    AISFX,
    OPENL3_MEL128,
    OPENL3_MEL256,
    PANNS_16K,
    VGGISH,
    YAMNET,
    Frontend,
    hz_to_mel,
    mel_filters,
    mel_to_hz,
)


@pytest.mark.filterwarnings("ignore:At least one mel filter")
@pytest.mark.parametrize("frontend", [VGGISH, YAMNET, PANNS_16K, OPENL3_MEL128, OPENL3_MEL256, AISFX])
def test_filters_equal_transformers(frontend: Frontend) -> None:
    bands = frontend.mel
    expected = mel_filter_bank(
        frontend.n_fft // 2 + 1,
        bands.n_mels,
        bands.f_min,
        bands.f_max,
        frontend.sample_rate,
        norm="slaney" if bands.norm == "area" else None,
        mel_scale="kaldi"
        if bands.triangle_axis == "mel"
        else bands.scale,  # kaldi's scale is HTK's, as we write it
        triangularize_in_mel_space=bands.triangle_axis == "mel",
    )
    ours = mel_filters(bands, frontend.sample_rate, frontend.n_fft)
    expected = expected / expected.sum(axis=0) if bands.norm == "sum" else expected
    assert ours.shape == expected.shape and expected.max() > 0
    np.testing.assert_allclose(ours, expected, atol=1e-9 * expected.max())


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_scales_have_their_inverse_and_cross_at_1_khz(scale) -> None:
    hertz = np.array([0.0, 125.0, 999.0, 1000.0, 1001.0, 24_000.0])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hertz, scale), scale), hertz, rtol=1e-12)
    assert np.all(np.diff(hz_to_mel(hertz, scale)) > 0)
    assert hz_to_mel(np.array([1000.0]), scale)[0] == pytest.approx(
        1000.0 if scale == "htk" else 15.0, rel=1e-4
    )
