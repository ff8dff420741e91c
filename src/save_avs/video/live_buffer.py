"""What a live source has sent and nobody has taken yet: pictures that wait for their sound, and the sound."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Any, NamedTuple

import numpy as np

from save_avs.types import F32
from save_avs.video.audio_blocks import AudioBlock, AudioBuffer, sample_range

# A picture whose sound is this late goes without: the microphone may have been unplugged.
_GRACE = 1.0  # seconds


class LiveFrames(NamedTuple):
    """What is taken at once.

    Attributes:
        pictures: time in seconds and decoded frame, in order.
        waveform: the sound around them, f32 [S], silence where there is none.
        start: sample number of its first.
        left_out: how many pictures before them were.
    """

    pictures: list[tuple[float, Any]]
    waveform: F32
    start: int
    left_out: int


class LiveBuffer:
    """Filled by the threads that read, emptied by one taker; holds a second or two at most.

    A picture is ripe when the sound around it has come. With ``drop`` the oldest ripe pictures give way to
    new ones; without, whoever adds pictures waits until some are taken. Sound is never dropped while a
    picture waits for it.

    Args:
        readers: threads that will each call ``end`` once.
        sounds: there is sound to wait for.
        chunk: pictures taken at once, at most, and ripe ones held.
        sample_rate: samples of the sound a second.
        margin: seconds of sound that a picture needs to each side.
        step: seconds between pictures that are kept; None keeps all.
        drop: what happens to pictures that come too fast.
    """

    def __init__(
        self,
        *,
        readers: int,
        sounds: bool,
        chunk: int,
        sample_rate: int,
        margin: float,
        step: float | None,
        drop: bool,
    ) -> None:
        self._readers, self._sounds, self._chunk, self._rate = readers, sounds, chunk, sample_rate
        self._margin, self._step, self._drop = margin, step, drop
        self._pictures: deque[tuple[float, Any]] = deque()
        self._held = AudioBuffer()
        self._heard = self._seen = (
            self._due
        ) = -math.inf  # times: of the newest sound, picture; of the next kept
        self._left_out = 0
        self._stopped = False
        self._change = threading.Condition()

    def add_frame(self, time: float, frame: Any) -> None:
        """Add a decoded frame; one that is not later than the last, or comes too early, is passed over."""
        with self._change:
            if time <= self._seen or time < self._due:
                return
            if self._step is not None:
                first = time if self._due == -math.inf else self._due
                self._due = first + self._step * (1 + math.floor((time - first) / self._step))
            self._seen = time
            self._pictures.append((time, frame))
            self._settle()
            while not (self._drop or self._stopped) and self._ripe() > self._chunk:
                self._change.wait()

    def add_audio(self, block: AudioBlock) -> None:
        """Add a block that follows those before it."""
        with self._change:
            self._held.add(block)
            self._heard = block.end / self._rate
            self._settle()

    def end(self) -> None:
        """Take note that a reader will add nothing more."""
        with self._change:
            self._readers -= 1
            self._change.notify_all()

    def stop(self) -> None:
        """Let whoever waits go on: nothing more is wanted."""
        with self._change:
            self._stopped = True
            self._change.notify_all()

    def take(self) -> LiveFrames | None:
        """Wait for ripe pictures and take them with their sound, at most a chunk; None at the end."""
        with self._change:
            while not self._ripe() and self._readers:
                self._change.wait()
            count = min(self._ripe(), self._chunk)
            if not count:
                return None
            pictures = [self._pictures.popleft() for _ in range(count)]
            # Now: what comes next lets go of all sound that only these need.
            start, end = sample_range([time for time, _ in pictures], self._margin, self._rate)
            waveform = self._held.cut(start, end)[:, 0] if self._sounds else np.zeros(0, dtype=np.float32)
            taken = LiveFrames(pictures, waveform, start, self._left_out)
            self._left_out = 0
            self._change.notify_all()
            return taken

    def _settle(self) -> None:
        """Make room, and wake who waits."""
        while self._drop and self._ripe() > self._chunk:
            self._pictures.popleft()
            self._left_out += 1
        oldest = self._pictures[0][0] if self._pictures else max(self._seen, self._heard - _GRACE)
        if math.isfinite(oldest):
            self._held.forget(math.floor((oldest - self._margin) * self._rate))
        self._change.notify_all()

    def _ripe(self) -> int:
        """How many pictures need to wait no longer."""
        if not (self._sounds and self._readers):
            return len(self._pictures)
        until = max(self._heard - self._margin, self._seen - self._margin - _GRACE)
        return sum(time <= until for time, _ in self._pictures)
