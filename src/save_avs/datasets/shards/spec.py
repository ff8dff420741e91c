"""A folder of shards in the place of a data set's own folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from save_avs.datasets.clips import ClipEntry
from save_avs.datasets.shards.index import INDEX, entries_of, read_index
from save_avs.datasets.spec import DatasetSpec
from save_avs.errors import UsageError


@dataclass(frozen=True)
class ShardSpec(DatasetSpec):
    """Found by its index; its sounds are those that were written, so it draws none."""

    def find(self, root: Path) -> Path | None:
        """The root itself, when it holds shards."""
        return root if holds_shards(root) else None


def holds_shards(root: Path) -> bool:
    """Whether a folder is one of shards."""
    return (root / INDEX).is_file()


def in_shards(spec: DatasetSpec, root: Path) -> ShardSpec:
    """What tells of a data set in a folder of shards.

    Raises:
        UsageError: when the shards are of another data set.
        DataError: when the index is broken.
    """
    index = read_index(root)
    if index.name != spec.name:
        raise UsageError(f"{root} holds shards of {index.name}, not of {spec.name}")

    def entries(home: Path, split: str, _: int) -> list[ClipEntry]:
        return entries_of(home, index, split)

    return ShardSpec(
        name=spec.name,
        title=f"{spec.title}, in shards",
        homes=(),
        tables=(INDEX,),
        counts={split: count for split, count in spec.counts.items() if split in index.splits},
        entries=entries,
        classes=lambda _: index.classes,
    )
