"""What a video sounds like, by name: the classes that the model's audio backbone was taught."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from save_avs.audio import log_mel_at
from save_avs.models import SAVE
from save_avs.video import read_video_chunks

STEPS = 4.0  # looks a second
SURE = 0.5


@dataclass(frozen=True)
class AudioEvent:
    """A class was heard from ``start`` to ``end`` seconds, with this mean probability."""

    name: str
    start: float
    end: float
    probability: float


def detect_audio_events(model: SAVE, path: str | Path) -> list[AudioEvent]:
    """Name the sounds of a video over time, in order of their start; empty without sound or without classes.

    Raises:
        UsageError: when there is no such file.
        MediaError: when it cannot be read.
    """
    if not model.classes:
        return []
    times, rows = [], []
    frontend = model.frontend
    for clip in read_video_chunks(path, fps=STEPS, sample_rate=frontend.sample_rate):
        if len(clip.waveform):
            times.append(clip.times)
            log_mel = log_mel_at(clip.waveform, clip.sample_rate, clip.times, clip.waveform_start, frontend)
            rows.append(_probabilities(model, log_mel))
    if not rows:
        return []
    at, sure = np.concatenate(times), np.concatenate(rows)  # [T], [T,classes]
    found = [AudioEvent(name, *run) for i, name in enumerate(model.classes) for run in _runs(at, sure[:, i])]
    return sorted(found, key=lambda h: h.start)


@torch.inference_mode()
def _probabilities(model: SAVE, log_mel: np.ndarray) -> np.ndarray:
    """[T,frames,bands] -> [T,classes]."""
    return (
        model.classify_audio(torch.from_numpy(log_mel).unsqueeze(1).to(model.device)).sigmoid().cpu().numpy()
    )


def _runs(times: np.ndarray, sure: np.ndarray) -> list[tuple[float, float, float]]:
    """Start, end and mean of each stretch above ``SURE``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], sure > SURE, [0]])))
    return [
        (float(times[a]), float(times[b - 1] + 1 / STEPS), float(sure[a:b].mean()))
        for a, b in edges.reshape(-1, 2).tolist()
    ]
