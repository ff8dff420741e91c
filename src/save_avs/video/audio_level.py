"""Level of a sound: measured block by block, what to say of silence, and the gain that raises it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from save_avs.types import F32
from save_avs.video.audio_blocks import AudioBlock
from save_avs.video.audio_reader import read_audio_blocks
from save_avs.video.container import open_media, pick_audio
from save_avs.video.frame_decoder import Span
from save_avs.video.probe import AudioTrack

# All in dBFS. In the bundled sample (at -16) 25 frames have a mask; at -41 22, at -46 18, at -56 13.
QUIET = -45.0
SILENT = -80.0  # below the noise of microphones, above that of rounding to 16 bits
TARGET = -20.0  # common in published recordings; leaves headroom for peaks

_BLOCK = 0.4  # seconds, as in ITU-R BS.1770
_RANGE = 20.0  # dB below the loudest block, in which blocks count: pauses do not
_SAMPLE_RATE = 16000
_SEARCHED = 600.0  # seconds of each other track that are decoded where one is silent: 0.2 s of work


class LevelMeter:
    """Measures the level of a mono waveform: the RMS of its blocks of 0.4 s within 20 dB of the loudest.

    A click, or pauses, hardly change it, as they would change the peak or the RMS of the whole.
    """

    def __init__(self, sample_rate: int) -> None:
        self._block = round(_BLOCK * sample_rate)
        self._rest = np.zeros(0, np.float32)
        self._powers: list[float] = []

    def add(self, samples: F32) -> None:
        """Add the samples that follow, f32 [S]."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // self._block * self._block
        self._powers += np.square(samples[:whole].reshape(-1, self._block)).mean(axis=1).tolist()
        self._rest = samples[whole:]

    @property
    def level(self) -> float:
        """The level so far, dBFS; minus infinity where there is no sound."""
        rest = [float(np.square(self._rest).mean())] if len(self._rest) else []
        powers = np.array(self._powers or rest)
        if not powers.any():
            return -np.inf
        return float(10 * np.log10(powers[powers >= powers.max() * 10 ** (-_RANGE / 10)].mean()))

    @property
    def gain(self) -> float:
        """Factor that raises the sound to -20 dBFS; 1 where it is as loud, or silent."""
        return 10 ** ((TARGET - self.level) / 20) if SILENT <= self.level < TARGET else 1.0


def metered(blocks: Iterator[AudioBlock], meter: LevelMeter) -> Iterator[AudioBlock]:
    """Pass mono blocks, and measure them."""
    for block in blocks:
        meter.add(block.samples[:, 0])
        yield block


def find_gain(track: AudioTrack) -> float:
    """Decode a whole track and return the factor that raises it to the usual level; 1 where it is there."""
    meter = LevelMeter(_SAMPLE_RATE)
    for _ in metered(read_audio_blocks(track, sample_rate=_SAMPLE_RATE, layout="mono"), meter):
        pass
    return meter.gain


def quiet_sound_advice(level: float) -> str:
    """Return what to say about sound of a level in dBFS; empty where it can be heard."""
    if level < SILENT:
        return "silent throughout: nothing can be marked; give other sound with --audio"
    if level >= QUIET:
        return ""
    return f"very quiet sound ({level:.0f} dBFS): if masks are missing, add --normalize-audio"


def silent_track_advice(track: AudioTrack, span: Span) -> str:
    """Return what to say about a silent track that was not chosen; empty if no other track sounds either."""
    with open_media(track.path) as container:
        indices = [stream.index for stream in container.streams.audio]
        default = pick_audio(container)
        own = 0 if default is None else indices.index(default.index) + 1
    if track.number is not None or not own:
        return ""
    for number in range(1, len(indices) + 1):
        if number != own and _sounds(replace(track, number=number), span):
            return (
                f"audio track {own} is silent, track {number} is not: choose it with --audio-track {number}"
            )
    return ""


def _sounds(track: AudioTrack, span: Span) -> bool:
    start, end = span[0], min(span[1], span[0] + _SEARCHED)
    blocks = read_audio_blocks(track, sample_rate=_SAMPLE_RATE, layout="mono", start=start, end=end)
    return any(np.abs(block.samples).max(initial=0) > 10 ** (SILENT / 20) for block in blocks)
