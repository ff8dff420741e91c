"""The sound of a file, on the same clock as its pictures, block by block."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from save_avs.media.container import Warn, decode, open_media, pick_audio
from save_avs.media.mixing import mix_matrix
from save_avs.types import F32

# Timestamps may be off by their own rounding (a millisecond in Matroska); beyond this they are believed.
_TOLERANCE = 0.02


@dataclass(frozen=True)
class SoundBlock:
    """Some sound: ``samples`` f32 [S,C], the first at sample number ``start`` of the clock."""

    start: int
    samples: F32

    @property
    def end(self) -> int:
        """Sample number just behind the block."""
        return self.start + len(self.samples)


class _Run:
    """Sound without a gap: one resampler from its first sample on."""

    def __init__(self, *, time: float, start: int, source_rate: int, rate: int, channels: int) -> None:
        self.source_rate = source_rate
        self._time = time
        self._fed = 0
        self.end = start
        same = source_rate == rate
        self._resampler = None if same else soxr.ResampleStream(source_rate, rate, channels, dtype="float32")

    @property
    def expected(self) -> float:
        """Time at which the next sample belongs."""
        return self._time + self._fed / self.source_rate

    def feed(self, samples: F32, *, last: bool = False) -> Iterator[SoundBlock]:
        self._fed += len(samples)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last).reshape(-1, samples.shape[1])
        if len(samples):
            yield SoundBlock(self.end, samples)
            self.end += len(samples)


def read_sound(
    path: Path, *, rate: int, layout: str, origin: float, on_warning: Warn | None = None
) -> Iterator[SoundBlock]:
    """Yield a file's sound in ascending blocks that never overlap; what lies between them is silence.

    Sample ``n`` of the clock is at ``n / rate`` seconds after ``origin`` (in the file's own time).
    ``layout`` is one of ``mixing.AAC_LAYOUTS``. Damaged packets are left out; ``on_warning`` hears of
    the first.
    """
    run: _Run | None = None
    cutting = False
    empty = np.zeros((0, len(mix_matrix(("FC",), layout))), dtype=np.float32)
    for time, source_rate, samples in _decoded(path, layout, origin, on_warning):
        if run is not None and (
            source_rate != run.source_rate or (time is not None and time > run.expected + _TOLERANCE)
        ):
            yield from run.feed(empty, last=True)
            run = _next_run(time if time is not None else run.expected, run, source_rate, rate, layout)
        if run is None:
            run = _next_run(time or 0.0, None, source_rate, rate, layout)
        late = 0.0 if time is None else run.expected - time
        # Sound for a time that has had its sound is cut off; once cutting, to the sample.
        skip = round(late * source_rate) if late > (0 if cutting else _TOLERANCE) else 0
        cutting = skip > 0
        if skip < len(samples):
            yield from run.feed(samples[skip:])
    if run is not None:
        yield from run.feed(empty, last=True)


def _next_run(time: float, before: _Run | None, source_rate: int, rate: int, layout: str) -> _Run:
    start = round(time * rate)
    if before is not None:
        start = max(start, before.end)
    channels = len(mix_matrix(("FC",), layout))
    return _Run(time=time, start=start, source_rate=source_rate, rate=rate, channels=channels)


def _decoded(
    path: Path, layout: str, origin: float, on_warning: Warn | None
) -> Iterator[tuple[float | None, int, F32]]:
    """Yield (time or None, rate, samples f32 [S,C]) for each decoded frame of sound."""
    reached = 0.0
    warned = False

    def damaged(reason: str, fatal: bool) -> None:
        nonlocal warned
        # Where the whole file ends early, the pictures tell.
        if on_warning is not None and not warned and not fatal:
            warned = True
            on_warning(f"{path}: the sound is damaged at {max(reached, 0):.2f} s ({reason}); silence there")

    with open_media(path) as container:
        stream = pick_audio(container)
        if stream is None:
            return
        for frame in decode(container, stream, damaged):
            time = None if frame.time is None else frame.time - origin
            if time is not None:
                reached = time + frame.samples / frame.sample_rate
            yield time, frame.sample_rate, _mixed(frame, layout)


def _mixed(frame: Any, layout: str) -> F32:
    """Turn a decoded frame of any sample format into f32 [S,C] in -1..1."""
    raw = frame.to_ndarray()
    names = tuple(channel.name for channel in frame.layout.channels)
    # planar: [C,S]; packed: [1, S*C]
    columns = raw.T if frame.format.is_planar else raw.reshape(-1, len(names))
    if raw.dtype == np.uint8:
        samples = (columns.astype(np.float32) - 128) / 128
    elif np.issubdtype(raw.dtype, np.integer):
        samples = (columns / -float(np.iinfo(raw.dtype).min)).astype(np.float32)
    else:
        samples = columns.astype(np.float32)
    mixed = samples @ mix_matrix(names, layout).T
    return np.clip(np.nan_to_num(mixed, copy=False), -1, 1)


class SoundWindow:
    """Cuts windows out of a stream of blocks; the windows must move forward.

    Attributes:
        end: sample number behind the last sound; None until the stream has run out.
    """

    def __init__(self, blocks: Iterator[SoundBlock], channels: int = 1) -> None:
        self._source = blocks
        self._channels = channels
        self._held: deque[SoundBlock] = deque()
        self._reached = 0
        self.end: int | None = None

    def read(self, start: int, end: int) -> F32:
        """Return samples start..end of the clock, f32 [end-start,C]; silence where there is no sound."""
        while self._held and self._held[0].end <= start:
            self._held.popleft()
        while self.end is None and self._reached < end:
            block = next(self._source, None)
            if block is None:
                self.end = self._reached
                break
            self._reached = block.end
            if block.end > start:
                self._held.append(block)
        wave = np.zeros((end - start, self._channels), dtype=np.float32)
        for block in self._held:
            low, high = max(block.start, start), min(block.end, end)
            if low < high:
                wave[low - start : high - start] = block.samples[low - block.start : high - block.start]
        return wave
