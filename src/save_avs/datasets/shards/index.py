"""The index of a folder of shards: which clips there are, and where each of their files lies.

``shards.json`` stands beside the tar files. It is all that tells the clips of a split, so opening a data set
reads this file alone, and any clip can be read at once, in any order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path, PurePath

from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from save_avs._files import read_regular
from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import ClipPaths, read_mask
from save_avs.datasets.clips import ClipEntry, ImageSequenceClip
from save_avs.datasets.palette import read_colors, read_indices
from save_avs.datasets.shards.shard import Shard, ShardMember
from save_avs.datasets.storage import StoredFile
from save_avs.errors import DataError, first_problem
from save_avs.types import U8

INDEX = "shards.json"
VERSION = 1
FRAME, MASK, LABELS, COLORS = "frame", "mask", "labels", "labels_rgb"  # what numbered members begin with
SOUND, PATCHES = "sound", "log_mel"

_NUMBERED = re.compile(r"([a-z_]+?)(\d{1,9})\.\w+")


@dataclass(frozen=True)
class ShardMetadata:
    """What is known of a clip beside its files; stands in the index, and as ``KEY.json`` in the shard.

    Attributes:
        name: of the clip.
        source: the video it was cut from.
        categories: what sounds.
        first_log_mel_patch: the VGGish patch of its first frame.
        times: seconds into the sound at which the frames' patches are centered, where it was a film.
    """

    name: str
    source: str
    categories: tuple[str, ...] = ()
    first_log_mel_patch: int = 0
    times: tuple[float, ...] | None = None


@dataclass(frozen=True)
class ShardedClip:
    """A clip in the index.

    Attributes:
        shard: number of its shard within the split.
        key: what the names of its members begin with.
        told: what is known of it.
        files: name behind the key to (offset, size, CRC-32) of each member.
    """

    shard: NonNegativeInt
    key: str
    told: ShardMetadata
    files: dict[str, tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt]]


@dataclass(frozen=True)
class ShardedSplit:
    """A split in the index: (file name, bytes) of each of its shards, and its clips in order."""

    shards: list[tuple[str, NonNegativeInt]] = field(default_factory=list)
    clips: list[ShardedClip] = field(default_factory=list)


@dataclass(frozen=True)
class ShardIndex:
    """What ``shards.json`` says.

    Attributes:
        name: of the data set.
        classes: names of the labels, background first; empty where there are masks alone.
        splits: by name.
    """

    name: str
    classes: tuple[str, ...]
    splits: dict[str, ShardedSplit]

    def text(self) -> str:
        """As it is written, a line a clip."""
        splits = {
            name: {"shards": split.shards, "clips": [asdict(row) for row in split.clips]}
            for name, split in self.splits.items()
        }
        head = {"version": VERSION, "name": self.name, "classes": self.classes, "splits": splits}
        return (
            json.dumps(head, separators=(",", ":"), ensure_ascii=False).replace('{"shard":', '\n{"shard":')
            + "\n"
        )


@dataclass(frozen=True)
class _Versioned:
    """What tells how the rest is to be read."""

    version: int


_VERSIONED, _INDEX = TypeAdapter(_Versioned), TypeAdapter(ShardIndex)


def read_index(folder: Path) -> ShardIndex:
    """Read the index of a folder of shards.

    Raises:
        DataError: when it is missing, or not one of this version.
    """
    path = folder / INDEX
    try:
        content = read_regular(path)
        if (version := _VERSIONED.validate_json(content).version) != VERSION:
            raise DataError(f"{path}: is of version {version}; this program reads {VERSION}")
        index = _INDEX.validate_json(content, strict=True)
        for split in index.splits.values():
            _check(split)
        return index
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing") from error
    except (ValueError, OSError) as error:
        why = first_problem(error) if isinstance(error, ValidationError) else error
        raise DataError(f"{path}: not as `save-avs data shard` writes it ({why})") from error


def _check(split: ShardedSplit) -> None:
    """See whether the shards lie beside the index, and every file in its shard.

    Raises:
        ValueError: when they do not.
    """
    for name, _ in split.shards:
        if PurePath(name).name != name or PurePath(name).suffix != ".tar":
            raise ValueError(f"a shard elsewhere: {name}")
    for row in split.clips:
        if row.shard >= len(split.shards):
            raise ValueError(f"clip {row.key}: no shard {row.shard}")
        end = max((offset + size for offset, size, _ in row.files.values()), default=0)
        if end > split.shards[row.shard][1]:
            raise ValueError(f"clip {row.key}: files beyond the end of its shard")
        numbers = {int(m[2]) for name in row.files if (m := _NUMBERED.fullmatch(name)) and m[1] == FRAME}
        if not numbers or numbers != set(range(len(numbers))):
            raise ValueError(f"clip {row.key}: its frames are not numbered from 0 on")


def entries_of(folder: Path, index: ShardIndex, split: str) -> list[ClipEntry]:
    """The clips of a split; each shard is seen to be there and whole.

    Raises:
        DataError: when a shard is missing or torn.
    """
    held = index.splits.get(split, ShardedSplit())
    shards = [Shard(folder / name, size) for name, size in held.shards]
    for shard in shards:
        shard.check()
    return [_entry(shards[row.shard], row, len(index.classes)) for row in held.clips]


def _entry(shard: Shard, row: ShardedClip, classes: int) -> ImageSequenceClip:
    members = {
        name: ShardMember(shard, f"{row.key}.{name}", offset, size, crc)
        for name, (offset, size, crc) in row.files.items()
    }
    numbered = {
        (m[1], int(m[2])): member for name, member in members.items() if (m := _NUMBERED.fullmatch(name))
    }
    count = sum(kind == FRAME for kind, _ in numbered)
    single = {name.partition(".")[0]: member for name, member in members.items()}
    told = row.told
    return ImageSequenceClip(
        ClipMetadata(told.name, told.source, told.categories),
        ClipPaths[StoredFile](
            frames=tuple(numbered[FRAME, k] for k in range(count)),
            annotations=tuple(_truth(numbered, k) for k in range(count)),
            wav=single.get(SOUND) or shard.path / f"{row.key}.{SOUND}.wav",  # a path that is not there
            log_mel=single.get(PATCHES),
        ),
        read_annotation=partial(_read_truth, classes),
        first_log_mel_patch=told.first_log_mel_patch,
        times=told.times,
    )


def _truth(numbered: Mapping[tuple[str, int], ShardMember], k: int) -> ShardMember | None:
    return next((numbered[kind, k] for kind in (MASK, LABELS, COLORS) if (kind, k) in numbered), None)


def _read_truth(classes: int, member: ShardMember) -> U8:
    """Read an annotation as its name says it is stored."""
    kind = member.name.partition(".")[2]
    if kind.startswith(COLORS):
        return read_colors(member, classes)
    return read_indices(member, classes) if kind.startswith(LABELS) else read_mask(member)
