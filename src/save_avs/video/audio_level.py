"""Level of a video's sound: what to say where it is silent or very quiet, and the gain that raises it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from save_avs.audio.level import QUIET, SILENT, LevelMeter
from save_avs.video.audio_blocks import AudioBlock
from save_avs.video.audio_reader import read_audio_blocks
from save_avs.video.audio_tracks import AudioTrack
from save_avs.video.container import open_media, pick_audio
from save_avs.video.frame_decoder import Span

_SAMPLE_RATE = 16000
_SEARCHED = 600.0  # seconds of each other track that are decoded where one is silent: 0.2 s of work


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
