"""Buffer between the threads that read a live source and its consumer: frames, and the audio around them."""

import math
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from save_avs.types import F32
from save_avs.video.audio_blocks import AudioBlock, AudioBuffer, sample_range

# Seconds after which a frame no longer waits for its audio: the microphone may have been unplugged.
_MAX_AUDIO_DELAY = 1.0


class LiveFrames(NamedTuple):
    """Consecutive frames with their audio."""

    frames: list[tuple[float, Any]]  # time in seconds and decoded frame, in order
    waveform: F32  # the audio around them, f32 [S], silence where there is none
    start: int  # sample index of ``waveform[0]``
    dropped: int  # number of frames dropped directly before them


@dataclass(kw_only=True, eq=False)
class LiveBuffer:
    """Filled by reader threads, emptied by one consumer; holds one or two seconds at most.

    A frame is ready when the audio around it has arrived. With ``drop`` the oldest ready frames are dropped
    for new ones; without it, adding a frame blocks until some are taken. Audio is never dropped while a frame
    waits for it.
    """

    readers: int  # threads that will each call ``end`` once
    has_audio: bool  # whether frames wait for audio
    chunk: int  # maximum number of frames per ``take``, and of ready frames held
    sample_rate: int  # audio samples per second
    audio_margin: float  # seconds of audio that a frame needs on each side
    frame_interval: float | None  # seconds between the frames to keep; None keeps all
    drop: bool  # drop frames that arrive faster than they are taken

    def __post_init__(self) -> None:
        """Begin without frames."""
        self._frames: deque[tuple[float, Any]] = deque()
        self._audio = AudioBuffer()
        self._last_audio = self._last_frame = -math.inf  # times of the newest audio and frame
        self._next_frame = -math.inf  # earliest time of the next frame to keep
        self._dropped = 0
        self._stopped = False
        self._changed = threading.Condition()

    def add_frame(self, time: float, frame: Any) -> None:
        """Add a decoded frame; ignored unless it is later than the last one and due."""
        with self._changed:
            if time <= self._last_frame or time < self._next_frame:
                return
            if self.frame_interval is not None:
                due = time if self._next_frame == -math.inf else self._next_frame
                steps = 1 + math.floor((time - due) / self.frame_interval)
                self._next_frame = due + self.frame_interval * steps
            self._last_frame = time
            self._frames.append((time, frame))
            self._update()
            while not (self.drop or self._stopped) and self._num_ready() > self.chunk:
                self._changed.wait()

    def add_audio(self, block: AudioBlock) -> None:
        """Add a block of audio that follows the previous ones."""
        with self._changed:
            self._audio.add(block)
            self._last_audio = block.end / self.sample_rate
            self._update()

    def end(self) -> None:
        """Mark that a reader will add nothing more."""
        with self._changed:
            self.readers -= 1
            self._changed.notify_all()

    def stop(self) -> None:
        """Unblock the readers: nothing more will be taken."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def take(self) -> LiveFrames | None:
        """Wait for ready frames and remove them, a chunk at most; None at the end."""
        with self._changed:
            while not self._num_ready() and self.readers:
                self._changed.wait()
            count = min(self._num_ready(), self.chunk)
            if not count:
                return None
            frames = [self._frames.popleft() for _ in range(count)]
            # Read here: the next update discards audio that only these frames need.
            start, end = sample_range([time for time, _ in frames], self.audio_margin, self.sample_rate)
            silence = np.zeros(0, dtype=np.float32)
            waveform = self._audio.window(start, end)[:, 0] if self.has_audio else silence
            dropped, self._dropped = self._dropped, 0
            self._changed.notify_all()
            return LiveFrames(frames, waveform, start, dropped)

    def _update(self) -> None:
        """Drop frames and audio that are no longer needed, and wake up the other threads."""
        while self.drop and self._num_ready() > self.chunk:
            self._frames.popleft()
            self._dropped += 1
        latest = max(self._last_frame, self._last_audio - _MAX_AUDIO_DELAY)
        oldest = self._frames[0][0] if self._frames else latest
        if math.isfinite(oldest):
            self._audio.discard(math.floor((oldest - self.audio_margin) * self.sample_rate))
        self._changed.notify_all()

    def _num_ready(self) -> int:
        if not (self.has_audio and self.readers):
            return len(self._frames)
        latest = max(self._last_audio, self._last_frame - _MAX_AUDIO_DELAY) - self.audio_margin
        return sum(time <= latest for time, _ in self._frames)
