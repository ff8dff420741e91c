"""The sound of a scene."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from save_avs.synthesis.corpus import RATE
from save_avs.synthesis.scene import AudioSource
from save_avs.types import F32

FADE_S = 0.01


def mix_audio(audio_sources: Iterable[AudioSource], start: float, stop: float) -> F32:
    """What is heard from ``start`` to ``stop`` seconds at 16 kHz, f32 [S] in -1..1."""
    first, last = round(start * RATE), round(stop * RATE)
    total = np.zeros(last - first, np.float32)
    for voice in audio_sources:
        _add(total, voice, first)
    return np.clip(total, -1.0, 1.0)


def _add(total: F32, voice: AudioSource, first: int) -> None:
    on, off = (round(s * RATE) for s in voice.span)
    a, b = max(on - first, 0), min(off - first, len(total))
    if a >= b:
        return
    samples = np.arange(a + first - on, b + first - on)  # counted from the voice's own start
    loop = np.concatenate([voice.waveform, np.zeros(1 + round(voice.gap * RATE), np.float32)])
    position = (samples * voice.speed + voice.offset * RATE) % (len(loop) - 1)
    whole = position.astype(np.int64)
    if voice.speed == 1.0:
        heard = loop[whole]
    else:
        part = (position - whole).astype(np.float32)
        heard = loop[whole] * (1 - part) + loop[whole + 1] * part
    fade = np.minimum(np.minimum(samples, off - on - samples) / (FADE_S * RATE), 1.0)
    total[a:b] += heard * fade.astype(np.float32) * voice.gain
