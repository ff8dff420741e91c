"""Audio in blocks on one clock: resampled as it is decoded, buffered, and read in windows."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from save_avs.audio.channel_mixing import AAC_LAYOUTS
from save_avs.types import F32, F64

# Seconds by which a timestamp may deviate: rounding alone is a millisecond in Matroska.
_TOLERANCE = 0.02


def sample_range(times: F64 | Sequence[float], margin: float, sample_rate: int) -> tuple[int, int]:
    """Sample indices from ``margin`` seconds before the first time to ``margin`` after the last."""
    return math.floor((times[0] - margin) * sample_rate), math.ceil((times[-1] + margin) * sample_rate) + 1


@dataclass(frozen=True)
class AudioBlock:
    """Consecutive samples, f32 [S,C]; ``start`` is the index of the first one on the clock."""

    start: int
    samples: F32

    @property
    def end(self) -> int:
        """Index after the last sample."""
        return self.start + len(self.samples)


@dataclass
class _Segment:
    """Audio without a gap, resampled by one resampler from its first sample on."""

    time: float  # of the first sample, in seconds
    end: int  # index after the last sample that was yielded
    source_rate: int
    resampler: soxr.ResampleStream | None  # None where the rates are equal
    num_samples: int = 0  # fed so far

    @property
    def next_time(self) -> float:
        """Time of the next sample, in seconds."""
        return self.time + self.num_samples / self.source_rate

    def feed(self, samples: F32, *, last: bool = False) -> Iterator[AudioBlock]:
        self.num_samples += len(samples)
        if self.resampler is not None:
            samples = self.resampler.resample_chunk(samples, last=last).reshape(-1, samples.shape[1])
        if len(samples):
            yield AudioBlock(self.end, samples)
            self.end += len(samples)


class AudioAssembler:
    """Turns decoded audio into ascending blocks that never overlap; gaps between them are silence.

    Sample ``n`` is at ``n / sample_rate`` seconds on the clock.

    Args:
        sample_rate: samples per second of the blocks.
        layout: channel layout of the audio fed in, one of ``channels.AAC_LAYOUTS``.
    """

    def __init__(self, sample_rate: int, layout: str) -> None:
        self._sample_rate = sample_rate
        self._channels = len(AAC_LAYOUTS[layout])
        self._segment: _Segment | None = None
        self._skipping = False

    def feed(self, time: float | None, source_rate: int, samples: F32) -> Iterator[AudioBlock]:
        """Add ``samples`` f32 [S,C] that start at ``time``; None: directly after the previous ones."""
        segment = self._segment
        if segment is None:
            segment = self._start(time or 0.0, source_rate)
        elif source_rate != segment.source_rate or (
            time is not None and time > segment.next_time + _TOLERANCE
        ):
            yield from self.finish()
            segment = self._start(segment.next_time if time is None else time, source_rate, after=segment.end)
        overlap = 0.0 if time is None else segment.next_time - time
        # Audio for a time that already has audio is skipped; after the first skip, to the exact sample.
        skip = round(overlap * source_rate) if overlap > (0 if self._skipping else _TOLERANCE) else 0
        self._skipping = skip > 0
        if skip < len(samples):
            yield from segment.feed(samples[skip:])

    def finish(self) -> Iterator[AudioBlock]:
        """Yield what the resampler still holds."""
        if self._segment is not None:
            yield from self._segment.feed(np.zeros((0, self._channels), dtype=np.float32), last=True)

    def _start(self, time: float, source_rate: int, after: int | None = None) -> _Segment:
        start, rates = round(time * self._sample_rate), (source_rate, self._sample_rate)
        same = source_rate == self._sample_rate
        resampler = None if same else soxr.ResampleStream(*rates, self._channels, dtype="float32")
        self._segment = _Segment(time, start if after is None else max(start, after), source_rate, resampler)
        return self._segment


class AudioBuffer:
    """Blocks of audio from which windows are read."""

    def __init__(self, channels: int = 1) -> None:
        self._channels = channels
        self._blocks: deque[AudioBlock] = deque()

    def add(self, block: AudioBlock) -> None:
        """Append a block that follows the previous ones."""
        self._blocks.append(block)

    def discard(self, before: int) -> None:
        """Remove the blocks that end before a sample index."""
        while self._blocks and self._blocks[0].end <= before:
            self._blocks.popleft()

    def window(self, start: int, end: int) -> F32:
        """Return samples start..end of the clock, f32 [end-start,C]; silence where there is no block."""
        waveform = np.zeros((end - start, self._channels), dtype=np.float32)
        for block in self._blocks:
            low, high = max(block.start, start), min(block.end, end)
            if low < high:
                waveform[low - start : high - start] = block.samples[low - block.start : high - block.start]
        return waveform


class AudioWindowReader:
    """Reads windows from an iterator of blocks; the windows must move forward."""

    def __init__(self, blocks: Iterator[AudioBlock], channels: int = 1) -> None:
        self._blocks = blocks
        self._buffer = AudioBuffer(channels)
        self._reached = self._start = 0
        self.end: int | None = None  # index after the last sample; None until the iterator is exhausted

    def read(self, start: int, end: int) -> F32:
        """Return samples start..end of the clock, f32 [end-start,C]; silence where there is no audio."""
        self._start = start
        self._buffer.discard(start)
        self.reaches(end - 1)
        return self._buffer.window(start, end)

    def reaches(self, index: int) -> bool:
        """Return whether there is a sample at this index or after it; reads and keeps the audio up to it."""
        while self.end is None and self._reached <= index:
            block = next(self._blocks, None)
            if block is None:
                self.end = self._reached
                break
            self._reached = block.end
            if block.end > self._start:
                self._buffer.add(block)
        return self._reached > index
