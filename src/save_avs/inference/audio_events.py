"""Sound classes over time, by the class head of a model's audio backbone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from save_avs.audio import log_mel_at
from save_avs.models import SAVE
from save_avs.types import F32, F64
from save_avs.video import read_video_chunks

WINDOWS_PER_SECOND = 4.0
MIN_PROBABILITY = 0.5


@dataclass(frozen=True)
class AudioEvent:
    """A class sounds from ``start`` to ``end`` seconds, with this mean probability."""

    name: str
    start: float
    end: float
    probability: float


def detect_audio_events(model: SAVE, path: str | Path) -> list[AudioEvent]:
    """Detect the sound classes of a video, ordered by start; empty without sound or without classes.

    Raises:
        UsageError: no such file.
        MediaError: the file cannot be read.
    """
    if not model.classes:
        return []
    times, rows = [], []
    for chunk in read_video_chunks(path, fps=WINDOWS_PER_SECOND, sample_rate=model.frontend.sample_rate):
        if len(chunk.waveform):
            patches = log_mel_at(
                chunk.waveform, chunk.sample_rate, chunk.times, chunk.waveform_start, model.frontend
            )
            times.append(chunk.times)
            rows.append(_probabilities(model, patches))
    if not rows:
        return []
    at, probabilities = np.concatenate(times), np.concatenate(rows)  # [T], [T,classes]
    events = [
        AudioEvent(name, *stretch)
        for i, name in enumerate(model.classes)
        for stretch in _stretches(at, probabilities[:, i])
    ]
    return sorted(events, key=lambda event: event.start)


@torch.inference_mode()
def _probabilities(model: SAVE, log_mel: F32) -> F32:
    """[T,frames,bands] -> [T,classes]."""
    return (
        model.classify_audio(torch.from_numpy(log_mel).unsqueeze(1).to(model.device)).sigmoid().cpu().numpy()
    )


def _stretches(times: F64, probabilities: F32) -> list[tuple[float, float, float]]:
    """Return start, end and mean of each stretch above ``MIN_PROBABILITY``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], probabilities > MIN_PROBABILITY, [0]])))
    return [
        (float(times[a]), float(times[b - 1] + 1 / WINDOWS_PER_SECOND), float(probabilities[a:b].mean()))
        for a, b in edges.reshape(-1, 2).tolist()
    ]
