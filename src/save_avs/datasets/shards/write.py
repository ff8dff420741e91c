"""Writing shards: clips as consecutive members of tar files, read back before they count."""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from save_avs.datasets.clips import ClipDataset
from save_avs.datasets.shards.index import INDEX, ShardedClip, ShardedSplit, ShardIndex, ShardMetadata
from save_avs.datasets.shards.pack import PackedClip, pack
from save_avs.errors import DataError
from save_avs.synthesis.corpus_io import new_folder

JSON = "json"  # the member that tells of a clip

Progress = Callable[[str, int, int], None]  # of which split, how many are done, of how many


def write_shards(
    splits: Sequence[ClipDataset],
    target: str | Path,
    *,
    size: int,
    progress: Progress = lambda _, __, ___: None,
) -> Path:
    """Write splits of a data set into a new folder of shards.

    Args:
        splits: of one data set, each opened from a tree.
        target: the folder to make; it appears when everything is in it.
        size: a shard is closed before the clip that would make its content larger, bytes.
        progress: called after each clip.

    Raises:
        UsageError: when the folder exists.
        DataError: when a clip cannot be read, or a shard does not read back as it was written.
    """
    with new_folder(target) as folder:
        held = {clips.split: _write_split(clips, folder, size, progress) for clips in splits}
        index = ShardIndex(splits[0].name, splits[0].classes, held)
        (folder / INDEX).write_text(index.text(), encoding="utf-8")
    return Path(target)


def _write_split(clips: ClipDataset, folder: Path, size: int, progress: Progress) -> ShardedSplit:
    split = ShardedSplit()
    for number, group in groupby(_packed(clips, size, progress), key=itemgetter(0)):
        path = folder / f"{clips.split}-{number:06d}.tar"
        written = _write_tar(path, ((key, packed) for _, key, packed in group))
        split.shards.append((path.name, path.stat().st_size))
        split.clips.extend(_read_back(path, number, written))
    return split


def _packed(clips: ClipDataset, size: int, progress: Progress) -> Iterator[tuple[int, str, PackedClip]]:
    """Each clip with its shard's number and its key, which is its own number: names may hold dots."""
    number = filled = 0
    for i, entry in enumerate(clips.entries):
        packed = pack(entry, labeled=bool(clips.classes))
        more = sum(map(len, packed.members.values()))
        if filled and filled + more > size:
            number, filled = number + 1, 0
        filled += more
        yield number, f"{i:06d}", packed
        progress(clips.split, i + 1, len(clips))


class Written(NamedTuple):
    """A clip that went into a shard: what is known of it, and the CRC-32 of each member by name."""

    told: ShardMetadata
    sums: dict[str, int]


def _write_tar(path: Path, clips: Iterable[tuple[str, PackedClip]]) -> dict[str, Written]:
    """Write clips so that the same ones give the same bytes: without times and owners."""
    written = {}
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, packed in clips:
            members = {**packed.members, JSON: _as_json(packed.told)}
            for name, content in members.items():
                info = tarfile.TarInfo(f"{key}.{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            written[key] = Written(packed.told, {name: zlib.crc32(held) for name, held in members.items()})
    return written


def _as_json(told: ShardMetadata) -> bytes:
    return json.dumps(asdict(told), ensure_ascii=False).encode()


def _read_back(path: Path, number: int, written: dict[str, Written]) -> Iterator[ShardedClip]:
    """Where everything lies, from the tar file itself.

    Raises:
        DataError: when it does not hold what was written.
    """
    places: dict[str, dict[str, tuple[int, int, int]]] = {key: {} for key in written}
    with tarfile.open(path) as tar:
        for info in tar:
            file = tar.extractfile(info)
            content = b"" if file is None else file.read()
            key, _, name = info.name.partition(".")
            places[key][name] = (info.offset_data, info.size, zlib.crc32(content))
    for key, clip in written.items():
        if {name: crc for name, (_, _, crc) in places[key].items()} != clip.sums:
            raise DataError(f"{path}: clip {key} does not read back as it was written; is the disk sound?")
        yield ShardedClip(number, key, clip.told, {k: v for k, v in places[key].items() if k != JSON})
