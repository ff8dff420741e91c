"""Sound classes over time, by the class head of a model's audio backbone; whether it knows a sound at all."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from save_avs.audio import is_silent, log_mel_at
from save_avs.audio.frontend import VGGISH
from save_avs.inference.predictor import FrameModel, chunk_log_mel
from save_avs.models import SAVE
from save_avs.types import F32, F64, VideoChunk
from save_avs.video import read_video_chunks

WINDOWS_PER_SECOND = 4.0
MIN_PROBABILITY = 0.5


class ClassListener:
    """Listens for a model's classes to the middle of each chunk, a sample of the sound that costs little."""

    def __init__(self, model: FrameModel) -> None:
        self._model = model if isinstance(model, SAVE) and model.classes else None
        self._best: tuple[float, str] | None = None  # highest probability so far, and its class

    def listen(self, chunks: Iterable[VideoChunk]) -> Iterator[VideoChunk]:
        """Pass chunks on, and listen."""
        for chunk in chunks:
            if self._model is not None and len(chunk) and len(chunk.waveform):
                self._hear(self._model, chunk)
            yield chunk

    def _hear(self, model: SAVE, chunk: VideoChunk) -> None:
        middle = chunk.times[len(chunk) // 2 :][:1]
        sound = chunk.waveform, chunk.sample_rate, middle, chunk.waveform_start
        if is_silent(log_mel_at(*sound, VGGISH))[0]:
            return
        found = _probabilities(model, log_mel_at(*sound, model.frontend))[0]
        self._best = max(self._best or (0.0, ""), (float(found.max()), model.classes[found.argmax()]))

    def advice(self) -> str:
        """Return what to say where none of the classes was heard; empty where one was, or nothing was."""
        if self._model is None or self._best is None or self._best[0] >= MIN_PROBABILITY:
            return ""
        probability, nearest = self._best
        return (
            f"sounds like none of the {len(self._model.classes)} classes of {self._model.name} (nearest: "
            f"{nearest}, {probability:.0%}): do not rely on the masks; see `save-avs models`"
        )


class AudioEvent(NamedTuple):
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
            times.append(chunk.times)
            rows.append(_probabilities(model, chunk_log_mel(chunk, model.frontend)))
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
    patches = torch.from_numpy(log_mel).unsqueeze(1).to(model.device)
    return model.classify_audio(patches).sigmoid().cpu().numpy()


def _stretches(times: F64, probabilities: F32) -> list[tuple[float, float, float]]:
    """Return start, end and mean of each stretch above ``MIN_PROBABILITY``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], probabilities > MIN_PROBABILITY, [0]])))
    return [
        (float(times[a]), float(times[b - 1] + 1 / WINDOWS_PER_SECOND), float(probabilities[a:b].mean()))
        for a, b in edges.reshape(-1, 2).tolist()
    ]
