"""Write a data set as tar shards; every member is read back before the folder appears."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from save_avs._files import atomic_folder
from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.datasets.avsbench_semantic import LabelReader, color_labels, uses_colors
from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clips import ClipDataset, ClipEntry, ImageSequenceClip
from save_avs.datasets.shards import (
    AUDIO,
    COLORS,
    FRAME,
    INDEX,
    INDEX_JSON,
    LABELS,
    MASK,
    MemberRecord,
    ShardedClip,
    ShardedSplit,
    ShardIndex,
)
from save_avs.datasets.storage import CorruptShardError, Shard, ShardMember, StoredFile, open_file
from save_avs.datasets.video_folder import VideoFileClip
from save_avs.errors import DataError
from save_avs.types import F32, U8

_IEEE_FLOAT = 3  # WAV's code of that format

Content = tuple[str, bytes]  # name of a member, after the clip's key, and its bytes
Progress = Callable[[str, int, int], None]  # split, clips done, clips in all


class PackedClip(NamedTuple):
    """A clip with the bytes of its files."""

    metadata: ClipMetadata
    frames: list[Content]
    annotations: list[Content | None]
    audio: Content
    first_log_mel_patch: int = 0
    times: tuple[float, ...] | None = None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        files = [*self.frames, *filter(None, self.annotations), self.audio]
        return sum(len(content) for _, content in files)


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
        shard_bytes: a shard is closed before the clip that would make its content larger than this.
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
    shards, clips = [], []
    for number, group in groupby(_packed_clips(dataset, shard_bytes, progress), key=itemgetter(0)):
        path = folder / f"{dataset.split}-{number:06d}.tar"
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            written = [_add_clip(tar, number, key, clip) for _, key, clip in group]
        shards.append((path.name, path.stat().st_size))
        _verify(path, written)
        clips += written
    return ShardedSplit(tuple(shards), tuple(clips))


def _packed_clips(
    dataset: ClipDataset, shard_bytes: int, progress: Progress
) -> Iterator[tuple[int, str, PackedClip]]:
    """Yield each clip with its shard's number and its key, which is its own number: names may hold dots."""
    shard = filled = 0
    for i, entry in enumerate(dataset.entries):
        entry.read(labeled=bool(dataset.classes))  # as training reads it: what is written is readable
        clip = _pack(entry)
        if filled and filled + clip.size > shard_bytes:
            shard, filled = shard + 1, 0
        filled += clip.size
        yield shard, f"{i:06d}", clip
        progress(dataset.split, i + 1, len(dataset))


def _add_clip(tar: tarfile.TarFile, shard: int, key: str, clip: PackedClip) -> ShardedClip:
    """Append a clip; the same clips give the same bytes, without times and owners."""

    def add(content: Content) -> MemberRecord:
        name, data = content
        info = tarfile.TarInfo(f"{key}.{name}")
        info.size = len(data)
        offset = tar.offset + tarfile.BLOCKSIZE
        tar.addfile(info, io.BytesIO(data))
        return MemberRecord(info.name, offset, len(data), zlib.crc32(data))

    frames = tuple(map(add, clip.frames))
    annotations = tuple(None if content is None else add(content) for content in clip.annotations)
    audio = add(clip.audio)
    add(("json", json.dumps(asdict(clip.metadata), ensure_ascii=False).encode()))
    return ShardedClip(shard, clip.metadata, frames, annotations, audio, clip.first_log_mel_patch, clip.times)


def _verify(path: Path, clips: Sequence[ShardedClip]) -> None:
    shard = Shard(path, path.stat().st_size)
    try:
        for record in (member for clip in clips for member in clip.members()):
            ShardMember(shard, record.name, record.offset, record.size, record.crc).read_bytes()
    except CorruptShardError as error:
        raise DataError(f"{path}: does not read back as it was written; check the disk") from error


def _pack(entry: ClipEntry) -> PackedClip:
    """Take a clip's own files byte for byte; of a video, its annotated frames and its audio."""
    if isinstance(entry, VideoFileClip):
        return _pack_video(entry)
    assert isinstance(entry, ImageSequenceClip)  # there is no other kind
    paths = entry.paths
    return PackedClip(
        entry.metadata,
        frames=[(f"{FRAME}{k}{path.suffix}", _read_bytes(path)) for k, path in enumerate(paths.frames)],
        annotations=[
            None if path is None else _pack_annotation(entry, k, path)
            for k, path in enumerate(paths.annotations)
        ],
        audio=(f"{AUDIO}{paths.audio.suffix}", _read_bytes(paths.audio)),
        first_log_mel_patch=entry.first_log_mel_patch,
        times=entry.times,
    )


def _pack_annotation(clip: ImageSequenceClip, k: int, path: StoredFile) -> Content:
    kind = MASK
    if isinstance(clip.read_annotation, LabelReader) and isinstance(path, Path):
        kind, path = (COLORS, color_labels(path)) if uses_colors(path) else (LABELS, path)
    return f"{kind}{k}{path.suffix}", _read_bytes(path)


def _pack_video(clip: VideoFileClip) -> PackedClip:
    frames = clip.annotated_frames()
    return PackedClip(
        clip.metadata,
        frames=[(f"{FRAME}{k}.png", _png(frame.frame)) for k, frame in enumerate(frames)],
        annotations=[
            (f"{MASK}{k}{frame.mask.suffix}", _read_bytes(frame.mask)) for k, frame in enumerate(frames)
        ],
        audio=(f"{AUDIO}.wav", _float_wav(clip.waveform())),
        times=tuple(frame.time for frame in frames),
    )


def _read_bytes(file: StoredFile) -> bytes:
    with open_file(file) as stream:
        return stream.read()


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
