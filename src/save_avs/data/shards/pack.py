"""What of a clip goes into a shard: its own files byte for byte; of a film its annotated frames and sound."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.data.benchmarks.avss import ReadLabels, coloured, is_coloured
from save_avs.data.benchmarks.clips import Entry, Stills
from save_avs.data.benchmarks.files import stored_patches
from save_avs.data.benchmarks.folder import Film
from save_avs.data.file import File
from save_avs.data.shards.index import COLOURS, FRAME, LABELS, MASK, PATCHES, SOUND, Told
from save_avs.types import F32, U8

_IEEE_FLOAT = 3  # WAV's number of that format


@dataclass(frozen=True)
class Packed:
    """A clip on its way into a shard: what is known of it, and the bytes of each member by name."""

    told: Told
    members: Mapping[str, bytes]


def pack(entry: Entry, *, labelled: bool) -> Packed:
    """Take a clip from a tree.

    It is read as training reads it, so what goes into a shard is known to be whole.

    Raises:
        DataError: when a file of it is missing or broken; the line names it.
    """
    entry.read(labelled=labelled)
    return _PACKERS[type(entry)](entry)


def _pack_stills(clip: Stills) -> Packed:
    files = clip.files
    members = {f"{FRAME}{k}{path.suffix}": _bytes(path) for k, path in enumerate(files.frames)}
    for k, path in enumerate(files.truths):
        if path is not None:
            kind, stored = _stored_truth(clip, path)
            members[f"{kind}{k}{stored.suffix}"] = _bytes(stored)
    if files.wav.exists():
        members[f"{SOUND}{files.wav.suffix}"] = _bytes(files.wav)
    if files.patches is not None and stored_patches(files) is not None:
        members[f"{PATCHES}{files.patches.suffix}"] = _bytes(files.patches)
    facts = clip.facts
    return Packed(Told(facts.name, facts.source, facts.categories, clip.first_patch), members)


def _stored_truth(clip: Stills, path: File) -> tuple[str, File]:
    """How an annotation is stored, and in which file."""
    if not isinstance(clip.read_truth, ReadLabels):
        return MASK, path
    assert isinstance(path, Path)
    return (COLOURS, coloured(path)) if is_coloured(path) else (LABELS, path)


def _pack_film(film: Film) -> Packed:
    shots = film.shots()
    members = {f"{FRAME}{k}.png": _png(shot.frame) for k, shot in enumerate(shots)}
    members |= {f"{MASK}{k}{shot.mask.suffix}": _bytes(shot.mask) for k, shot in enumerate(shots)}
    members[f"{SOUND}.wav"] = _float_wav(film.wave())
    facts = film.facts
    times = tuple(shot.time for shot in shots)
    return Packed(Told(facts.name, facts.source, facts.categories, times=times), members)


_PACKERS: Mapping[type, Callable[..., Packed]] = {Stills: _pack_stills, Film: _pack_film}


def _bytes(path: File) -> bytes:
    with path.open("rb") as file:
        return file.read()


def _png(frame: U8) -> bytes:
    out = io.BytesIO()
    Image.fromarray(frame).save(out, "png")
    return out.getvalue()


def _float_wav(wave: F32) -> bytes:
    """A sound as WAV of 32-bit floats, so that nothing is rounded."""
    data = wave.astype("<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, _IEEE_FLOAT, 1, SAMPLE_RATE, 4 * SAMPLE_RATE, 4, 32)
    count = struct.pack("<4sII", b"fact", 4, len(wave))
    chunks = b"WAVE" + form + count + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(chunks)) + chunks
