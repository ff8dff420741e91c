"""What is said about a sound that is none of a model's classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import save_avs
from tests.support.tiny_model import tiny_model

RATE = 16000
FRAMES = np.zeros((8, 32, 32, 3), np.uint8)
NOISE = np.random.default_rng(0).uniform(-0.3, 0.3, 2 * RATE).astype(np.float32)


def advice_on(waveform: np.ndarray, *logits: float) -> tuple[str, ...]:
    """Warnings of a model that hears its two classes with these logits, whatever it hears."""
    model = tiny_model(classes=("dog", "siren"))
    assert model.audio_classifier is not None
    torch.nn.init.zeros_(model.audio_classifier.weight)
    model.audio_classifier.bias.data = torch.tensor(logits)
    return save_avs.segment_arrays(FRAMES, waveform, sample_rate=RATE, fps=4, model=model).warnings


def test_a_sound_of_no_class_is_said_in_one_line_with_the_nearest():
    (advice,) = advice_on(NOISE, -3.0, -1.0)
    assert "none of the 2 classes of tiny (nearest: siren, 27%)" in advice  # 1 / (1 + e)


@pytest.mark.parametrize("logits", [(1.0, -9.0), (-9.0, 0.1), (2.0, 2.0)])
def test_nothing_is_said_where_a_class_is_heard(logits):
    assert advice_on(NOISE, *logits) == ()


def test_classes_are_not_judged_in_silence():
    (advice,) = advice_on(np.zeros(2 * RATE, np.float32), -3.0, -1.0)
    assert "silent throughout" in advice


def test_one_known_stretch_is_enough():
    silence_first = np.concatenate([np.zeros(RATE, np.float32), NOISE])
    assert advice_on(silence_first, 3.0, -3.0) == ()


def test_a_model_without_classes_says_nothing():
    result = save_avs.segment_arrays(FRAMES, NOISE, sample_rate=RATE, fps=4, model=tiny_model())
    assert result.warnings == ()
