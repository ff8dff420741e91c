"""What of a clip goes into a shard: its own files byte for byte; of a film its annotated frames and sound."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.datasets.avss import ReadLabels, colored, is_colored
from save_avs.datasets.clip_files import stored_patches
from save_avs.datasets.clips import ClipEntry, ImageSequenceClip
from save_avs.datasets.folder import VideoFileClip
from save_avs.datasets.shards.index import COLORS, FRAME, LABELS, MASK, PATCHES, SOUND, ShardMetadata
from save_avs.datasets.storage import StoredFile
from save_avs.types import F32, U8

_IEEE_FLOAT = 3  # WAV's number of that format


@dataclass(frozen=True)
class PackedClip:
    """A clip on its way into a shard: what is known of it, and the bytes of each member by name."""

    told: ShardMetadata
    members: Mapping[str, bytes]


def pack(entry: ClipEntry, *, labeled: bool) -> PackedClip:
    """Take a clip from a tree.

    It is read as training reads it, so what goes into a shard is known to be whole.

    Raises:
        DataError: when a file of it is missing or broken; the line names it.
    """
    entry.read(labeled=labeled)
    return _PACKERS[type(entry)](entry)


def _pack_stills(clip: ImageSequenceClip) -> PackedClip:
    files = clip.files
    members = {f"{FRAME}{k}{path.suffix}": _bytes(path) for k, path in enumerate(files.frames)}
    for k, path in enumerate(files.annotations):
        if path is not None:
            kind, stored = _stored_truth(clip, path)
            members[f"{kind}{k}{stored.suffix}"] = _bytes(stored)
    if files.wav.exists():
        members[f"{SOUND}{files.wav.suffix}"] = _bytes(files.wav)
    if files.log_mel is not None and stored_patches(files) is not None:
        members[f"{PATCHES}{files.log_mel.suffix}"] = _bytes(files.log_mel)
    metadata = clip.metadata
    return PackedClip(
        ShardMetadata(metadata.name, metadata.source, metadata.categories, clip.first_log_mel_patch), members
    )


def _stored_truth(clip: ImageSequenceClip, path: StoredFile) -> tuple[str, StoredFile]:
    """How an annotation is stored, and in which file."""
    if not isinstance(clip.read_annotation, ReadLabels):
        return MASK, path
    assert isinstance(path, Path)
    return (COLORS, colored(path)) if is_colored(path) else (LABELS, path)


def _pack_film(film: VideoFileClip) -> PackedClip:
    shots = film.shots()
    members = {f"{FRAME}{k}.png": _png(shot.frame) for k, shot in enumerate(shots)}
    members |= {f"{MASK}{k}{shot.mask.suffix}": _bytes(shot.mask) for k, shot in enumerate(shots)}
    members[f"{SOUND}.wav"] = _float_wav(film.waveform())
    metadata = film.metadata
    times = tuple(shot.time for shot in shots)
    return PackedClip(
        ShardMetadata(metadata.name, metadata.source, metadata.categories, times=times), members
    )


_PACKERS: Mapping[type, Callable[..., PackedClip]] = {
    ImageSequenceClip: _pack_stills,
    VideoFileClip: _pack_film,
}


def _bytes(path: StoredFile) -> bytes:
    with path.open("rb") as file:
        return file.read()


def _png(frame: U8) -> bytes:
    out = io.BytesIO()
    Image.fromarray(frame).save(out, "png")
    return out.getvalue()


def _float_wav(waveform: F32) -> bytes:
    """A sound as WAV of 32-bit floats, so that nothing is rounded."""
    data = waveform.astype("<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, _IEEE_FLOAT, 1, SAMPLE_RATE, 4 * SAMPLE_RATE, 4, 32)
    count = struct.pack("<4sII", b"fact", 4, len(waveform))
    chunks = b"WAVE" + form + count + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(chunks)) + chunks
