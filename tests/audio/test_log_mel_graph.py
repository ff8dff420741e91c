from __future__ import annotations

import numpy as np
import pytest
import torch

from save_avs.audio import log_mel
from save_avs.audio.frontend import VGGISH
from save_avs.audio.log_mel import SAMPLE_RATE, SILENCE_TOLERANCE, SILENT_LOG_MEL
from save_avs.audio.log_mel_graph import LogMelSpectrogram


@pytest.mark.parametrize("hertz", [125, 440, 3000, 7400])
@pytest.mark.parametrize("loudness", [1.0, 1e-2, 1e-4])
def test_module_equals_log_mel(hertz, loudness):
    time = np.arange(VGGISH.num_samples) / SAMPLE_RATE
    noise = np.random.default_rng(hertz).standard_normal(VGGISH.num_samples)
    waveform = (loudness * (np.sin(2 * np.pi * hertz * time) + 0.05 * noise)).astype(np.float32)
    (patch,) = log_mel(waveform, SAMPLE_RATE)
    found = LogMelSpectrogram()(torch.from_numpy(waveform)[None])[0, 0].numpy()
    np.testing.assert_allclose(found, patch, atol=1e-3)


def test_module_of_silence_is_silent():
    assert (
        float(LogMelSpectrogram()(torch.zeros(2, VGGISH.num_samples)).max())
        < SILENT_LOG_MEL + SILENCE_TOLERANCE
    )
