"""Data sets in tar shards, after WebDataset's convention, with an index that gives random access.

``shards.json`` is next to the tar files. It lists the clips of each split and the offset of each of their
files, so opening a data set reads only this file, and clips can be read in any order. Writing reads every
member back before the folder appears.
"""

import hashlib
import io
import json
import struct
import tarfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Literal

from PIL import Image
from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from save_avs._files import atomic_folder
from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.datasets.avsbench_semantic import LabelReader, color_labels, uses_colors
from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import ClipPaths, read_colors, read_indices, read_mask
from save_avs.datasets.image_and_video_clips import ClipDataset, ClipEntry, ImageSequenceClip, VideoFileClip
from save_avs.datasets.spec import DatasetSpec
from save_avs.datasets.stored_files import (
    CorruptShardError,
    MemberRecord,
    Shard,
    ShardMember,
    StoredFile,
    exists,
    open_file,
    read_file,
)
from save_avs.errors import DataError, UsageError, first_problem
from save_avs.types import F32, U8

INDEX = "shards.json"
FRAME, MASK, LABELS, COLORS, AUDIO = "frame", "mask", "labels", "labels_rgb", "audio"  # prefixes of members
_IEEE_FLOAT = 3  # WAV's code of that format

Progress = Callable[[str, int, int], None]  # split, clips done, clips in all


@dataclass(frozen=True)
class ShardedClip:
    """A clip in the index; its files and fields are those of ``ClipPaths`` and ``ImageSequenceClip``."""

    shard: NonNegativeInt  # index within the split
    metadata: ClipMetadata
    frames: tuple[MemberRecord, ...]
    annotations: tuple[MemberRecord | None, ...]
    audio: MemberRecord
    first_log_mel_patch: int = 0
    times: tuple[float, ...] | None = None

    def members(self) -> Iterator[MemberRecord]:
        """List its files."""
        yield from self.frames
        yield from (member for member in self.annotations if member is not None)
        yield self.audio


@dataclass(frozen=True)
class ShardedSplit:
    """A split in the index: (file name, bytes) of each shard, and the clips in order."""

    shards: tuple[tuple[str, NonNegativeInt], ...]
    clips: tuple[ShardedClip, ...]


@dataclass(frozen=True)
class ShardIndex:
    """Content of ``shards.json``."""

    name: str  # of the data set
    classes: tuple[str, ...]  # background first; empty where there are only masks
    splits: dict[str, ShardedSplit]
    version: Literal[1]  # of the format


INDEX_JSON = TypeAdapter(ShardIndex)


def read_index(folder: PurePath) -> ShardIndex:
    """Read and check the index of a folder of shards.

    A DataError if it is missing, of another version, or refers to files outside its shards.
    """
    path = folder / INDEX
    try:
        index = INDEX_JSON.validate_json(read_file(path), strict=True)
        for split in index.splits.values():
            _check(split)
        return index
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing") from error
    except (ValueError, OSError) as error:
        reason = first_problem(error) if isinstance(error, ValidationError) else error
        raise DataError(f"{path}: not written by `save-avs data shard` ({reason})") from error


def _check(split: ShardedSplit) -> None:
    """Check that shards are next to the index, and every file inside its shard; raise ValueError if not."""
    for name, _ in split.shards:
        if PurePath(name).name != name or PurePath(name).suffix != ".tar":
            raise ValueError(f"shard outside the folder: {name}")
    for clip in split.clips:
        name = clip.metadata.name
        if clip.shard >= len(split.shards):
            raise ValueError(f"clip {name}: no shard {clip.shard}")
        if max(member.offset + member.size for member in clip.members()) > split.shards[clip.shard][1]:
            raise ValueError(f"clip {name}: files beyond the end of its shard")
        if not clip.frames or len(clip.frames) != len(clip.annotations):
            raise ValueError(f"clip {name}: {len(clip.frames)} frames, {len(clip.annotations)} annotations")


def sharded_entries(folder: PurePath, index: ShardIndex, split: str) -> list[ClipEntry]:
    """Return the clips of a split after checking that each shard is complete."""
    stored = index.splits.get(split, ShardedSplit((), ()))
    version = "" if isinstance(folder, Path) else hashlib.sha256(INDEX_JSON.dump_json(index)).hexdigest()
    shards = [Shard(folder / name, size, version) for name, size in stored.shards]
    if isinstance(folder, Path):  # others are checked when they are copied
        for shard in shards:
            shard.check(folder / shard.path.name)
    return [_entry(shards[clip.shard], clip, len(index.classes)) for clip in stored.clips]


def _entry(shard: Shard, clip: ShardedClip, classes: int) -> ImageSequenceClip:
    return ImageSequenceClip(
        clip.metadata,
        ClipPaths[StoredFile](
            frames=tuple(ShardMember(shard, record) for record in clip.frames),
            annotations=tuple(record and ShardMember(shard, record) for record in clip.annotations),
            audio=ShardMember(shard, clip.audio),
        ),
        read_annotation=partial(_read_annotation, classes),
        first_log_mel_patch=clip.first_log_mel_patch,
        times=clip.times,
    )


def _read_annotation(classes: int, member: ShardMember) -> U8:
    """Read an annotation as its name, KEY.KINDk.SUFFIX, says it is stored."""
    kind = member.record.name.partition(".")[2]
    if kind.startswith(COLORS):
        return read_colors(member, classes)
    return read_indices(member, classes) if kind.startswith(LABELS) else read_mask(member)


def has_shards(root: PurePath) -> bool:
    """Whether a folder holds shards."""
    return exists(root / INDEX)


def sharded_spec(spec: DatasetSpec, root: PurePath) -> DatasetSpec:
    """Return the spec of a data set that is stored in shards; its audio is what was written, never random.

    A UsageError if the shards are of another data set, a DataError if their index is broken.
    """
    index = read_index(root)
    if index.name != spec.name:
        raise UsageError(f"{root} holds shards of {index.name}, not of {spec.name}")
    return DatasetSpec(
        name=spec.name,
        title=f"{spec.title}, in shards",
        folders=(),
        tables=(INDEX,),
        official_counts={split: n for split, n in spec.official_counts.items() if split in index.splits},
        entries=lambda folder, split, _: sharded_entries(folder, index, split),
        classes=lambda _: index.classes,
    )


def write_shards(
    splits: Sequence[ClipDataset],
    target: str | Path,
    *,
    shard_bytes: int,
    progress: Progress = lambda _, __, ___: None,
) -> Path:
    """Write splits of a dataset into a new folder of shards, which appears when everything is in it.

    A shard is closed after the clip with which it reaches ``shard_bytes``; ``progress`` is called after each
    clip.
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
    if not isinstance(clip.read_annotation, LabelReader) or isinstance(path, ShardMember):
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
