"""Data sets in tar shards, after WebDataset's convention, with an index that gives random access.

``shards.json`` is next to the tar files. It lists the clips of each split and the offset of each of their
files, so opening a data set reads this file alone, and clips can be read in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Literal

from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from save_avs._files import read_regular
from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import ClipPaths, read_mask
from save_avs.datasets.clips import ClipEntry, ImageSequenceClip
from save_avs.datasets.semantic_labels import read_colors, read_indices
from save_avs.datasets.spec import DatasetSpec
from save_avs.datasets.storage import MemberRecord, Shard, ShardMember, StoredFile
from save_avs.errors import DataError, UsageError, first_problem
from save_avs.types import U8

INDEX = "shards.json"
FRAME, MASK, LABELS, COLORS, AUDIO = "frame", "mask", "labels", "labels_rgb", "audio"  # prefixes of members


@dataclass(frozen=True)
class ShardedClip:
    """A clip in the index.

    Attributes:
        shard: index of its shard within the split.
        metadata: name, source video, categories.
        frames: the image of each frame.
        annotations: the annotation of each frame, None where there is none.
        audio: the waveform.
        first_log_mel_patch: VGGish patch of the first frame.
        times: for frames of a video, their times in seconds.
    """

    shard: NonNegativeInt
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
    """Content of ``shards.json``.

    Attributes:
        name: of the data set.
        classes: class names, background first; empty where there are only masks.
        splits: by name.
        version: of the format.
    """

    name: str
    classes: tuple[str, ...]
    splits: dict[str, ShardedSplit]
    version: Literal[1]


INDEX_JSON = TypeAdapter(ShardIndex)


def read_index(folder: Path) -> ShardIndex:
    """Read and check the index of a folder of shards.

    Raises:
        DataError: it is missing, of another version, or refers to files outside its shards.
    """
    path = folder / INDEX
    try:
        index = INDEX_JSON.validate_json(read_regular(path), strict=True)
        for split in index.splits.values():
            _check(split)
        return index
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing") from error
    except (ValueError, OSError) as error:
        reason = first_problem(error) if isinstance(error, ValidationError) else error
        raise DataError(f"{path}: not written by `save-avs data shard` ({reason})") from error


def _check(split: ShardedSplit) -> None:
    """Check that shards are next to the index, and every file inside its shard.

    Raises:
        ValueError: they are not.
    """
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


def sharded_entries(folder: Path, index: ShardIndex, split: str) -> list[ClipEntry]:
    """Return the clips of a split after checking that each shard is complete.

    Raises:
        DataError: a shard is missing or truncated.
    """
    stored = index.splits.get(split, ShardedSplit((), ()))
    shards = [Shard(folder / name, size) for name, size in stored.shards]
    for shard in shards:
        shard.check()
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


def has_shards(root: Path) -> bool:
    """Whether a folder holds shards."""
    return (root / INDEX).is_file()


def sharded_spec(spec: DatasetSpec, root: Path) -> DatasetSpec:
    """Return the spec of a data set that is stored in shards; its audio is what was written, never random.

    Raises:
        UsageError: the shards are of another data set.
        DataError: the index is broken.
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
