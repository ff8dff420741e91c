"""Writing shards: clips as consecutive members of tar files, read back before they count."""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from save_avs.data.benchmarks.clips import Clips
from save_avs.data.files import new_folder
from save_avs.data.shards.index import INDEX, Index, Row, Split, Told
from save_avs.data.shards.pack import Packed, pack
from save_avs.errors import DataError

Progress = Callable[[str, int, int], None]  # of which split, how many are done, of how many


def write_shards(
    splits: Sequence[Clips], target: str | Path, *, size: int, progress: Progress = lambda _, __, ___: None
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
        index = Index(splits[0].name, splits[0].classes, held)
        (folder / INDEX).write_text(index.text(), encoding="utf-8")
    return Path(target)


def _write_split(clips: Clips, folder: Path, size: int, progress: Progress) -> Split:
    split = Split()
    for number, batch in enumerate(_batches(clips, size, progress)):
        path = folder / f"{clips.split}-{number:06d}.tar"
        _write_tar(path, batch)
        split.shards.append((path.name, path.stat().st_size))
        split.clips.extend(_read_back(path, number, batch))
    return split


def _batches(clips: Clips, size: int, progress: Progress) -> Iterator[dict[str, Packed]]:
    """The clips of each shard by their keys: their numbers in the split, for names may hold dots."""
    batch: dict[str, Packed] = {}
    filled = 0
    for i, entry in enumerate(clips.entries):
        packed = pack(entry, labelled=bool(clips.classes))
        more = sum(map(len, packed.members.values()))
        if batch and filled + more > size:
            yield batch
            batch, filled = {}, 0
        batch[f"{i:06d}"] = packed
        filled += more
        progress(clips.split, i + 1, len(clips))
    if batch:
        yield batch


def _write_tar(path: Path, batch: dict[str, Packed]) -> None:
    """Write clips so that the same ones give the same bytes: without times and owners."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, packed in batch.items():
            for name, content in {**packed.members, "json": _as_json(packed.told)}.items():
                info = tarfile.TarInfo(f"{key}.{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def _as_json(told: Told) -> bytes:
    return json.dumps(asdict(told), ensure_ascii=False).encode()


def _read_back(path: Path, number: int, batch: dict[str, Packed]) -> Iterator[Row]:
    """Where everything lies, from the tar file itself.

    Raises:
        DataError: when a member does not hold what it was given.
    """
    places: dict[str, dict[str, tuple[int, int, int]]] = {key: {} for key in batch}
    with tarfile.open(path) as tar:
        for info in tar:
            file = tar.extractfile(info)
            content = b"" if file is None else file.read()
            key, _, name = info.name.partition(".")
            if name == "json":
                continue
            if content != batch[key].members[name]:
                raise DataError(
                    f"{path}: {info.name} does not read back as it was written; is the disk sound?"
                )
            places[key][name] = (info.offset_data, info.size, zlib.crc32(content))
    for key, packed in batch.items():
        if places[key].keys() != packed.members.keys():
            raise DataError(f"{path}: lacks members of {key} that were written; is the disk sound?")
        yield Row(number, key, packed.told, places[key])
