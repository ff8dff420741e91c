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
from pathlib import Path
from typing import Any

from save_avs.data.benchmarks.clips import Entry, Stills
from save_avs.data.benchmarks.files import ClipFiles, read_mask
from save_avs.data.benchmarks.palette import read_colours, read_indices
from save_avs.data.clipset import ClipFacts
from save_avs.data.file import File
from save_avs.data.shards.shard import Member, Shard
from save_avs.errors import DataError
from save_avs.media.regular import read_regular
from save_avs.types import U8

INDEX = "shards.json"
VERSION = 1
FRAME, MASK, LABELS, COLOURS = "frame", "mask", "labels", "labels_rgb"  # what numbered members begin with
SOUND, PATCHES = "sound", "patches"

_NUMBERED = re.compile(r"([a-z_]+?)(\d+)\.\w+")


@dataclass(frozen=True)
class Told:
    """What is known of a clip beside its files; stands in the index, and as ``KEY.json`` in the shard.

    Attributes:
        name: of the clip.
        source: the video it was cut from.
        categories: what sounds.
        first_patch: the VGGish patch of its first frame.
        times: seconds into the sound at which the frames' patches are centred, where it was a film.
    """

    name: str
    source: str
    categories: tuple[str, ...] = ()
    first_patch: int = 0
    times: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Row:
    """A clip in the index.

    Attributes:
        shard: number of its shard within the split.
        key: what the names of its members begin with.
        told: what is known of it.
        files: name behind the key to (offset, size, CRC-32) of each member.
    """

    shard: int
    key: str
    told: Told
    files: Mapping[str, tuple[int, int, int]]


@dataclass(frozen=True)
class Split:
    """A split in the index: (file name, bytes) of each of its shards, and its clips in order."""

    shards: list[tuple[str, int]] = field(default_factory=list)
    clips: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Index:
    """What ``shards.json`` says.

    Attributes:
        name: of the data set.
        classes: names of the labels, background first; empty where there are masks alone.
        splits: by name.
    """

    name: str
    classes: tuple[str, ...]
    splits: Mapping[str, Split]

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


def read_index(folder: Path) -> Index:
    """Read the index of a folder of shards.

    Raises:
        DataError: when it is missing, or not one of this version.
    """
    path = folder / INDEX
    try:
        raw = json.loads(read_regular(path))
        if raw["version"] != VERSION:
            raise DataError(f"{path}: is of version {raw['version']}; this program reads {VERSION}")
        splits = {name: _split(split) for name, split in raw["splits"].items()}
        return Index(raw["name"], tuple(raw["classes"]), splits)
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing") from error
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise DataError(f"{path}: not as `save-avs data shard` writes it ({error!r})") from error


def _split(raw: Mapping[str, Any]) -> Split:
    shards = [(str(name), int(size)) for name, size in raw["shards"]]
    return Split(shards, [_row(row) for row in raw["clips"]])


def _row(raw: Mapping[str, Any]) -> Row:
    told = dict(raw["told"])
    times = told.pop("times")
    categories = tuple(told.pop("categories"))
    known = Told(**told, categories=categories, times=None if times is None else tuple(times))
    files = {name: (offset, size, crc) for name, (offset, size, crc) in raw["files"].items()}
    return Row(raw["shard"], raw["key"], known, files)


def entries_of(folder: Path, index: Index, split: str) -> list[Entry]:
    """The clips of a split; each shard is seen to be there and whole.

    Raises:
        DataError: when a shard is missing or torn.
    """
    held = index.splits.get(split, Split())
    shards = [Shard(folder / name, size) for name, size in held.shards]
    for shard in shards:
        shard.check()
    return [_entry(shards[row.shard], row, len(index.classes)) for row in held.clips]


def _entry(shard: Shard, row: Row, classes: int) -> Stills:
    members = {
        name: Member(shard, f"{row.key}.{name}", offset, size, crc)
        for name, (offset, size, crc) in row.files.items()
    }
    numbered = {
        (m[1], int(m[2])): member for name, member in members.items() if (m := _NUMBERED.fullmatch(name))
    }
    count = sum(kind == FRAME for kind, _ in numbered)
    single = {name.partition(".")[0]: member for name, member in members.items()}
    told = row.told
    return Stills(
        ClipFacts(told.name, told.source, told.categories),
        ClipFiles[File](
            frames=tuple(numbered[FRAME, k] for k in range(count)),
            truths=tuple(_truth(numbered, k) for k in range(count)),
            wav=single.get(SOUND) or shard.path / f"{row.key}.{SOUND}.wav",  # a path that is not there
            patches=single.get(PATCHES),
        ),
        read_truth=partial(_read_truth, classes),
        first_patch=told.first_patch,
        times=told.times,
    )


def _truth(numbered: Mapping[tuple[str, int], Member], k: int) -> Member | None:
    return next((numbered[kind, k] for kind in (MASK, LABELS, COLOURS) if (kind, k) in numbered), None)


def _read_truth(classes: int, member: Member) -> U8:
    """Read an annotation as its name says it is stored."""
    kind = member.name.partition(".")[2]
    if kind.startswith(COLOURS):
        return read_colours(member, classes)
    return read_indices(member, classes) if kind.startswith(LABELS) else read_mask(member)
