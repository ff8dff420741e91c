"""Overlay of a stream: a video with its masks and sound that grows while the stream is segmented."""

import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from save_avs.errors import UsageError
from save_avs.inference.predictor import Prediction
from save_avs.video.growing_writer import GrowingVideoWriter, container_of
from save_avs.visualization.overlay import MaskPainter

_FPS = 25.0  # where no rate was asked for: guides the rate control only
_MIN_STEP = 1e-4  # seconds between two frames


class LiveOverlay:
    """Writes predictions into a video, .mp4 or .mkv, from the first frame on; nothing is written before it.

    An existing file is replaced. ``fps`` is the expected frame rate, None where it is unknown.

    Raises:
        UsageError: another suffix, or a folder that cannot be written to.
    """

    def __init__(self, path: Path, painter: MaskPainter, fps: float | None) -> None:
        container_of(path)
        if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
            raise UsageError(f"{path}: cannot be written: name a file in a folder that exists")
        self._path = path
        self._draw = painter
        self._fps = fps
        self._stack = ExitStack()
        self._writer: GrowingVideoWriter | None = None
        self._origin = 0.0  # time of the first frame
        self._last = -1.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, prediction: Prediction) -> None:
        """Write the frames and the sound of a prediction."""
        chunk = prediction.chunk
        if self._writer is None:
            self._origin = float(chunk.times[0])
            self._writer = self._stack.enter_context(self._open(prediction))
        start = chunk.waveform_start - self._origin
        self._writer.add_audio(chunk.waveform, round(start * chunk.sample_rate))
        for i, image in enumerate(chunk.frames):
            frame = prediction.frame(i)
            time = frame.time - self._origin
            if time - self._last >= _MIN_STEP:
                self._writer.write(self._draw(image, frame), time)
                self._last = time

    def _open(self, prediction: Prediction) -> GrowingVideoWriter:
        chunk = prediction.chunk
        height, width = chunk.frames.shape[1:3]
        return GrowingVideoWriter(
            self._path,
            width=width,
            height=height,
            fps=self._fps or _FPS,
            sample_rate=chunk.sample_rate if len(chunk.waveform) else None,
        )
