"""Write a data set as tar shards; every member is read back before the folder appears."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from save_avs._files import atomic_folder
from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.datasets.avsbench_semantic import LabelReader, color_labels, uses_colors
from save_avs.datasets.clips import ClipDataset, ClipEntry, ImageSequenceClip, VideoFileClip
from save_avs.datasets.shards import (
    AUDIO,
    COLORS,
    FRAME,
    INDEX,
    INDEX_JSON,
    LABELS,
    MASK,
    ShardedClip,
    ShardedSplit,
    ShardIndex,
)
from save_avs.datasets.storage import (
    CorruptShardError,
    MemberRecord,
    Shard,
    ShardMember,
    StoredFile,
    open_file,
)
from save_avs.errors import DataError
from save_avs.types import F32, U8

_IEEE_FLOAT = 3  # WAV's code of that format

Progress = Callable[[str, int, int], None]  # split, clips done, clips in all


def write_shards(
    splits: Sequence[ClipDataset],
    target: str | Path,
    *,
    shard_bytes: int,
    progress: Progress = lambda _, __, ___: None,
) -> Path:
    """Write splits of a data set into a new folder of shards.

    Args:
        splits: of one data set, each in its own layout.
        target: the folder to make; it appears when everything is in it.
        shard_bytes: a shard is closed after the clip with which it reaches this size.
        progress: called after each clip.

    Raises:
        UsageError: the folder exists.
        DataError: a clip cannot be read, or a shard does not read back as it was written.
    """
    with atomic_folder(Path(target)) as folder:
        written = {split.split: _write_split(split, folder, shard_bytes, progress) for split in splits}
        index = ShardIndex(splits[0].name, splits[0].classes, written, version=1)
        (folder / INDEX).write_bytes(INDEX_JSON.dump_json(index) + b"\n")
    return Path(target)


def _write_split(dataset: ClipDataset, folder: Path, shard_bytes: int, progress: Progress) -> ShardedSplit:
    shards, clips, remaining = [], [], deque(enumerate(dataset.entries))
    while remaining:
        path = folder / f"{dataset.split}-{len(shards):06d}.tar"
        written = []
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            while remaining and tar.offset < shard_bytes:
                i, entry = remaining.popleft()
                entry.read(labeled=bool(dataset.classes))  # as training reads it: what is written is readable
                # The key is the clip's number: names may hold dots.
                written.append(_add_clip(tar, len(shards), f"{i:06d}", entry))
                progress(dataset.split, i + 1, len(dataset))
        shards.append((path.name, path.stat().st_size))
        _verify(path, written)
        clips += written
    return ShardedSplit(tuple(shards), tuple(clips))


def _add_clip(tar: tarfile.TarFile, shard: int, key: str, clip: ClipEntry) -> ShardedClip:
    """Append a clip's own files byte for byte; of a video, its annotated frames and its audio.

    The same clips give the same bytes: members have no times and owners.
    """

    def add(name: str, data: bytes) -> MemberRecord:
        info = tarfile.TarInfo(f"{key}.{name}")
        info.size = len(data)
        offset = tar.offset + tarfile.BLOCKSIZE
        tar.addfile(info, io.BytesIO(data))
        return MemberRecord(info.name, offset, len(data), zlib.crc32(data))

    def copy(kind: str, file: StoredFile) -> MemberRecord:
        with open_file(file) as stream:
            return add(f"{kind}{file.suffix}", stream.read())

    if isinstance(clip, VideoFileClip):
        shots = clip.annotated_frames()
        frames = [add(f"{FRAME}{k}.png", _png(shot.frame)) for k, shot in enumerate(shots)]
        annotations = [copy(f"{MASK}{k}", shot.mask) for k, shot in enumerate(shots)]
        audio, patch = add(f"{AUDIO}.wav", _float_wav(clip.waveform())), 0
        times = tuple(shot.time for shot in shots)
    else:
        frames = [copy(f"{FRAME}{k}", path) for k, path in enumerate(clip.paths.frames)]
        stored = [None if path is None else _annotation(clip, path) for path in clip.paths.annotations]
        annotations = [item and copy(f"{item[0]}{k}", item[1]) for k, item in enumerate(stored)]
        audio, patch, times = copy(AUDIO, clip.paths.audio), clip.first_log_mel_patch, clip.times
    add("json", json.dumps(asdict(clip.metadata), ensure_ascii=False).encode())
    return ShardedClip(shard, clip.metadata, tuple(frames), tuple(annotations), audio, patch, times)


def _annotation(clip: ImageSequenceClip, path: StoredFile) -> tuple[str, StoredFile]:
    """Return the kind of an annotation and the file that holds it."""
    if not isinstance(clip.read_annotation, LabelReader) or not isinstance(path, Path):
        return MASK, path
    return (COLORS, color_labels(path)) if uses_colors(path) else (LABELS, path)


def _verify(path: Path, clips: Sequence[ShardedClip]) -> None:
    shard = Shard(path, path.stat().st_size)
    try:
        for record in (record for clip in clips for record in clip.members()):
            ShardMember(shard, record).read_bytes()
    except CorruptShardError as error:
        raise DataError(f"{path}: does not read back as it was written; check the disk") from error


def _png(frame: U8) -> bytes:
    out = io.BytesIO()
    Image.fromarray(frame).save(out, "png")
    return out.getvalue()


def _float_wav(waveform: F32) -> bytes:
    """Encode a waveform as WAV of 32-bit floats, so that nothing is rounded."""
    data = waveform.astype("<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, _IEEE_FLOAT, 1, SAMPLE_RATE, 4 * SAMPLE_RATE, 4, 32)
    count = struct.pack("<4sII", b"fact", 4, len(waveform))
    chunks = b"WAVE" + form + count + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(chunks)) + chunks
