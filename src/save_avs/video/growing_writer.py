"""Writing a video that can be played while it grows, and that stays when the program is stopped."""

import math
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import av

from save_avs.errors import UsageError
from save_avs.types import F32
from save_avs.video.audio_blocks import AudioBlock
from save_avs.video.codecs import H264
from save_avs.video.writer import AudioWriter, VideoWriter, aac_rate

_CONTAINERS = {".mp4": "mp4", ".mkv": "matroska"}
# Written in pieces of a second: whatever ends the program, all earlier pieces can be played.
_OPTIONS = {
    "mp4": {"movflags": "+frag_keyframe+delay_moov+default_base_moof", "frag_duration": "1000000"},
    "matroska": {"cluster_time_limit": "1000"},
}


class GrowingVideoWriter(VideoWriter):
    """Writes frames, each at its own time, and sound that comes with them, straight to ``path``.

    Unlike that of ``VideoWriter``, the file is there from the start, and is completed when the block ends, by
    an error as well.

    Args:
        path: the file to write, .mp4 or .mkv; replaced if it exists.
        width: of the frames.
        height: of the frames.
        fps: expected frame rate.
        sample_rate: of the mono sound that ``add_audio`` receives; None without sound.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, width: int, height: int, fps: float, sample_rate: int | None
    ) -> None:
        container = container_of(Path(path))
        options = {**H264.options, "tune": "zerolatency"}
        encoding = replace(H264, container=container, options=options)
        super().__init__(path, width=width, height=height, fps=fps, encoding=encoding)
        self._sample_rate = sample_rate
        self._blocks: deque[AudioBlock] = deque()
        self._heard = 0

    def add_audio(self, waveform: F32, start: int) -> None:
        """Add sound f32 [S] from a sample index on; what overlaps earlier sound is left out.

        It must reach 0.1 s beyond the time of the next frame that is written.
        """
        new = waveform[max(0, self._heard - start) :]
        if len(new):
            block = AudioBlock(max(start, self._heard), new[:, None])
            self._blocks.append(block)
            self._heard = block.end

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(None, None, None)

    def _open(self) -> Any:
        options = _OPTIONS[self._encoding.container] | {"flush_packets": "1"}
        return av.open(f"file:{self._path}", "w", format=self._encoding.container, options=options)

    def _add_audio(self) -> AudioWriter | None:
        if self._sample_rate is None:
            return None
        rate = aac_rate(self._sample_rate)
        if rate != self._sample_rate:
            raise ValueError(f"AAC has no sample rate of {self._sample_rate}")
        options = {"sample_rate": rate, "layout": "mono", "codec": self._encoding.audio_codec}
        return AudioWriter(self._container, self._arrived(), duration=math.inf, **options)

    def _arrived(self) -> Iterator[AudioBlock]:
        while self._blocks:
            yield self._blocks.popleft()


def container_of(path: Path) -> str:
    """Return FFmpeg's name of the container for a suffix, .mp4 or .mkv; a UsageError for any other."""
    container = _CONTAINERS.get(path.suffix.lower())
    if container is None:
        raise UsageError(f"{path}: the overlay must be an .mp4 or .mkv file")
    return container
