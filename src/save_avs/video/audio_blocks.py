"""Sound in blocks on one clock: put together as it is decoded, held, and cut into windows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from save_avs.audio.channels import AAC_LAYOUTS
from save_avs.types import F32, F64

# Timestamps may be off by their own rounding (a millisecond in Matroska); beyond this they are believed.
_TOLERANCE = 0.02


def sample_range(times: F64 | Sequence[float], margin: float, sample_rate: int) -> tuple[int, int]:
    """Sample numbers from ``margin`` seconds before the first time to ``margin`` after the last."""
    return math.floor((times[0] - margin) * sample_rate), math.ceil((times[-1] + margin) * sample_rate) + 1


@dataclass(frozen=True)
class AudioBlock:
    """Some sound: ``samples`` f32 [S,C], the first at sample number ``start`` of the clock."""

    start: int
    samples: F32

    @property
    def end(self) -> int:
        """Sample number just behind the block."""
        return self.start + len(self.samples)


class _Run:
    """Sound without a gap: one resampler from its first sample on."""

    def __init__(self, *, time: float, start: int, source_rate: int, sample_rate: int, channels: int) -> None:
        self.source_rate = source_rate
        self._time = time
        self._fed = 0
        self.end = start
        same = source_rate == sample_rate
        self._resampler = (
            None if same else soxr.ResampleStream(source_rate, sample_rate, channels, dtype="float32")
        )

    @property
    def expected(self) -> float:
        """Time at which the next sample belongs."""
        return self._time + self._fed / self.source_rate

    def feed(self, samples: F32, *, last: bool = False) -> Iterator[AudioBlock]:
        self._fed += len(samples)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last).reshape(-1, samples.shape[1])
        if len(samples):
            yield AudioBlock(self.end, samples)
            self.end += len(samples)


class AudioAssembler:
    """Turns decoded sound into ascending blocks that never overlap; what lies between them is silence.

    Sample ``n`` of the clock is at ``n / sample_rate`` seconds.

    Args:
        sample_rate: samples of the clock a second.
        layout: of the sound that is fed, one of ``mixing.AAC_LAYOUTS``.
    """

    def __init__(self, sample_rate: int, layout: str) -> None:
        self._rate = sample_rate
        self._channels = len(AAC_LAYOUTS[layout])
        self._run: _Run | None = None
        self._cutting = False

    def feed(self, time: float | None, source_rate: int, samples: F32) -> Iterator[AudioBlock]:
        """Take in ``samples`` f32 [S,C] that begin at ``time``, or (None) where the ones before end."""
        run = self._run
        if run is None:
            run = self._start(time or 0.0, source_rate)
        elif source_rate != run.source_rate or (time is not None and time > run.expected + _TOLERANCE):
            yield from self.finish()
            run = self._start(run.expected if time is None else time, source_rate, after=run.end)
        late = 0.0 if time is None else run.expected - time
        # Sound for a time that has had its sound is cut off; once cutting, to the sample.
        skip = round(late * source_rate) if late > (0 if self._cutting else _TOLERANCE) else 0
        self._cutting = skip > 0
        if skip < len(samples):
            yield from run.feed(samples[skip:])

    def finish(self) -> Iterator[AudioBlock]:
        """Hand out what the resampler still holds."""
        if self._run is not None:
            yield from self._run.feed(np.zeros((0, self._channels), dtype=np.float32), last=True)

    def _start(self, time: float, source_rate: int, after: int | None = None) -> _Run:
        start = round(time * self._rate)
        if after is not None:
            start = max(start, after)
        self._run = _Run(
            time=time, start=start, source_rate=source_rate, sample_rate=self._rate, channels=self._channels
        )
        return self._run


class AudioBuffer:
    """Blocks of sound that wait to be cut into windows."""

    def __init__(self, channels: int = 1) -> None:
        self._channels = channels
        self._blocks: deque[AudioBlock] = deque()

    def add(self, block: AudioBlock) -> None:
        """Hold a block that follows those before it."""
        self._blocks.append(block)

    def forget(self, before: int) -> None:
        """Let go of blocks that end before a sample number."""
        while self._blocks and self._blocks[0].end <= before:
            self._blocks.popleft()

    def cut(self, start: int, end: int) -> F32:
        """Return samples start..end of the clock, f32 [end-start,C]; silence where nothing is held."""
        waveform = np.zeros((end - start, self._channels), dtype=np.float32)
        for block in self._blocks:
            low, high = max(block.start, start), min(block.end, end)
            if low < high:
                waveform[low - start : high - start] = block.samples[low - block.start : high - block.start]
        return waveform


class AudioWindowReader:
    """Cuts windows out of a stream of blocks; the windows must move forward.

    Attributes:
        end: sample number behind the last sound; None until the stream has run out.
    """

    def __init__(self, blocks: Iterator[AudioBlock], channels: int = 1) -> None:
        self._source = blocks
        self._held = AudioBuffer(channels)
        self._reached = 0
        self.end: int | None = None

    def read(self, start: int, end: int) -> F32:
        """Return samples start..end of the clock, f32 [end-start,C]; silence where there is no sound."""
        self._held.forget(start)
        while self.end is None and self._reached < end:
            block = next(self._source, None)
            if block is None:
                self.end = self._reached
                break
            self._reached = block.end
            if block.end > start:
                self._held.add(block)
        return self._held.cut(start, end)
