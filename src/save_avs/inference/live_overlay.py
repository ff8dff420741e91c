"""Overlay of a stream: a video with its masks and sound that grows while the stream is segmented."""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from save_avs.errors import UsageError
from save_avs.inference.predictor import Prediction
from save_avs.types import VideoChunk
from save_avs.video.audio_blocks import AudioBlock
from save_avs.video.codecs import H264
from save_avs.video.writer import Sound, VideoWriter
from save_avs.visualization.overlay import MaskPainter

_CONTAINERS = {".mp4": "mp4", ".mkv": "matroska"}
_FPS = 25.0  # where no rate was asked for: guides the rate control only
_MIN_STEP = 1e-4  # seconds between two frames


class LiveOverlay(ExitStack):
    """Writes predictions into a video, .mp4 or .mkv, from the first frame on; nothing is written before it.

    An existing file is replaced. ``fps`` is the expected frame rate, None where it is unknown.

    Raises:
        UsageError: another suffix, or a folder that cannot be written to.
    """

    def __init__(self, path: Path, painter: MaskPainter, fps: float | None) -> None:
        container = _CONTAINERS.get(path.suffix.lower())
        if container is None:
            raise UsageError(f"{path}: the overlay must be an .mp4 or .mkv file")
        if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
            raise UsageError(f"{path}: cannot be written: name a file in a folder that exists")
        super().__init__()
        self._path = path
        self._draw = painter
        self._fps = fps or _FPS
        self._encoding = replace(H264, container=container, options={**H264.options, "tune": "zerolatency"})
        self._writer: VideoWriter | None = None
        self._blocks: deque[AudioBlock] = deque()  # not written yet
        self._heard = 0  # end of the last of them
        self._origin = 0.0  # time of the first frame
        self._last = -1.0

    def add(self, prediction: Prediction) -> None:
        """Write the frames and the sound of a prediction."""
        chunk = prediction.chunk
        if self._writer is None:
            self._origin = float(chunk.times[0])
            self._writer = self.enter_context(self._open(chunk))
        start = round((chunk.waveform_start - self._origin) * chunk.sample_rate)
        new = chunk.waveform[max(0, self._heard - start) :]  # without what overlaps earlier sound
        if len(new):
            self._blocks.append(AudioBlock(max(start, self._heard), new[:, None]))
            self._heard = self._blocks[-1].end
        for i, image in enumerate(chunk.frames):
            frame = prediction.frame(i)
            time = frame.time - self._origin
            if time - self._last >= _MIN_STEP:
                self._writer.write(self._draw(image, frame), time)
                self._last = time

    def _open(self, chunk: VideoChunk) -> VideoWriter:
        height, width = chunk.frames.shape[1:3]
        sound = Sound(self._arrived(), chunk.sample_rate, "mono") if len(chunk.waveform) else None
        size = {"width": width, "height": height, "fps": self._fps}
        return VideoWriter(self._path, **size, audio=sound, encoding=self._encoding, growing=True)

    def _arrived(self) -> Iterator[AudioBlock]:
        while self._blocks:
            yield self._blocks.popleft()
