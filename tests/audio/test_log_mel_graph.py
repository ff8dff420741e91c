"""The log-mel inside graphs against the log-mel of arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from save_avs.audio import log_mel
from save_avs.audio.graph import Patches
from save_avs.audio.log_mel import INAUDIBLE, PATCH_SAMPLES, SAMPLE_RATE, SILENCE


@pytest.mark.parametrize("hertz", [125, 440, 3000, 7400])
@pytest.mark.parametrize("loudness", [1.0, 1e-2, 1e-4])
def test_tones_in_noise(hertz, loudness):
    time = np.arange(PATCH_SAMPLES) / SAMPLE_RATE
    noise = np.random.default_rng(hertz).standard_normal(PATCH_SAMPLES)
    wave = (loudness * (np.sin(2 * np.pi * hertz * time) + 0.05 * noise)).astype(np.float32)
    (patch,) = log_mel(wave, SAMPLE_RATE)
    found = Patches()(torch.from_numpy(wave)[None])[0, 0].numpy()
    np.testing.assert_allclose(found, patch, atol=1e-3)


def test_silence_is_silent():
    assert float(Patches()(torch.zeros(2, PATCH_SAMPLES)).max()) < SILENCE + INAUDIBLE
