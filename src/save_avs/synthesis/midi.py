"""Sounds of instruments: short MIDI phrases, played by FluidSynth from a soundfont."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from save_avs._extras import require
from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.errors import SaveAvsError
from save_avs.types import F32
from save_avs.video.audio_reader import read_audio_file

TAIL_S = 1.6  # kept after the start of the last note
_LENGTH_S = 0.9
_TICKS = 960  # per second: 480 per quarter note at 120 quarter notes per minute
_DRUMS = 9  # General MIDI's channel of percussion
_PHRASES, _DRUM_PHRASES = 16, 8
_SECOND_NOTE = (4, 7, -5, 12)  # semitones from the first


class Note(NamedTuple):
    """One note: start in seconds, MIDI channel, program and key."""

    start: float
    channel: int
    program: int
    key: int


def phrases(notes: Mapping[str, Any]) -> Iterator[list[Note]]:
    """Yield phrases of an instrument, spread over its range, the same every time.

    Args:
        notes: ``{program, keys: [lowest, highest]}`` of a melody instrument; or ``{drums: [key, ...]}``,
            struck one after another; or ``{pattern: [key, ...]}``, the same faster.
    """
    if "program" in notes:
        yield from _melodies(notes["program"], *notes["keys"])
    elif "pattern" in notes:
        yield from _beats(notes["pattern"], fastest=0.14, growth=0.02)
    else:
        yield from _beats(notes["drums"], fastest=0.2, growth=0.03)


def _melodies(program: int, low: int, high: int) -> Iterator[list[Note]]:
    for i, key in enumerate(np.linspace(low, high, _PHRASES).round().astype(int).tolist()):
        second = min(max(key + _SECOND_NOTE[i % len(_SECOND_NOTE)], low), high)
        yield [Note(0.0, 0, program, key), Note(0.7, 0, program, second)]


def _beats(keys: list[int], *, fastest: float, growth: float) -> Iterator[list[Note]]:
    for i in range(_DRUM_PHRASES):
        step = fastest + growth * i
        yield [Note(k * step, _DRUMS, 0, key) for k, key in enumerate(np.roll(keys, i).tolist())]


def play(notes: list[Note], soundfont: Path) -> F32:
    """Play a phrase at 16 kHz, f32 [S], until 1.6 s after the start of its last note.

    Raises:
        SaveAvsError: FluidSynth fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        midi, audio = Path(folder) / "notes.mid", Path(folder) / "notes.wav"
        write_midi(midi, notes)
        options = ["-ni", "-g", "0.8", "-r", "44100", "-F", str(audio)]
        call = ["fluidsynth", *options, str(soundfont), str(midi)]
        result = subprocess.run(call, capture_output=True, text=True, check=False)
        if result.returncode:
            reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise SaveAvsError(f"FluidSynth failed on {soundfont.name}: {reason}")
        waveform = read_audio_file(audio, sample_rate=SAMPLE_RATE)
    return waveform[: int((notes[-1].start + TAIL_S) * SAMPLE_RATE)]


def write_midi(path: Path, notes: list[Note]) -> None:
    """Write notes as a standard MIDI file, format 0, at 960 ticks per second."""
    require("tuxpaint", "mido")
    import mido

    timed: list[tuple[float, Any]] = [(0.0, None)]
    for start, channel, program, key in notes:
        timed.append((start, mido.Message("program_change", channel=channel, program=program)))
        timed.append((start, mido.Message("note_on", channel=channel, note=key, velocity=100)))
        timed.append((start + _LENGTH_S, mido.Message("note_off", channel=channel, note=key)))
    timed.sort(key=lambda pair: pair[0])
    ticks = [round(seconds * _TICKS) for seconds, _ in timed]
    track = mido.MidiTrack(
        message.copy(time=now - before)
        for (before, now), (_, message) in zip(pairwise(ticks), timed[1:], strict=True)
    )
    mido.MidiFile(tracks=[track], ticks_per_beat=480).save(str(path))
