"""Composed scenes as AVSBench V3: an AVSBench-semantic tree whose tables keep some classes for testing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from save_avs.datasets.avss import COLUMNS, objects
from save_avs.datasets.v3 import SHOTS, tables
from save_avs.errors import UsageError
from save_avs.synthesis.corpus import CorpusSplit
from save_avs.synthesis.corpus_io import new_folder
from save_avs.synthesis.layouts.avss import V2, Row, SubsetOptions, write_subsets
from save_avs.synthesis.layouts.stills import ONE, LayoutRequest, write_table

_UID, _OBJECTS = COLUMNS.index("uid"), COLUMNS.index("a_obj")
_EMPTY = [COLUMNS.index(name) for name in ("s_min", "s_sec", "a_obj")]
_SPLIT = COLUMNS.index("split")


UNSEEN = SubsetOptions("v2", ONE)


def write_v3(order: LayoutRequest, target: str | Path) -> Path:
    """Write a new folder; the corpora are ``train`` and ``val`` (seen classes) and ``zero-shot`` (unseen).

    In an unseen clip one class sounds. Of each class the first clips are the shots, and at least one is left
    to test; so a class with one clip has no shot, and there must be more clips than unseen classes.

    Raises:
        UsageError: when the folder exists, or there are too few clips.
    """
    unseen: CorpusSplit = "zero-shot"
    classes = len(order.corpora[unseen].sounding) if unseen in order.corpora else 0
    if order.count <= classes:
        raise UsageError(f"{classes} unseen classes need more clips: take --count {classes + 1} or more")
    with new_folder(target) as folder:
        of_seen = {split: corpus for split, corpus in order.corpora.items() if split != unseen}
        of_unseen = {split: corpus for split, corpus in order.corpora.items() if split == unseen}
        parts = [(V2, replace(order, corpora=of_seen)), (UNSEEN, replace(order, corpora=of_unseen))]
        rows = write_subsets(parts, folder)
        seen = {split: [row for row in rows if _of(row, split)] for split in order.corpora}
        zero = tables(0)
        for split, source, says in (
            ("train", "train", "seen_train"),
            ("val", "val", "seen_val"),
            ("test", "zero-shot", "unseen"),
        ):
            write_table(folder / zero[split], COLUMNS, [_with(row, {_SPLIT: says}) for row in seen[source]])
        for shots in SHOTS[1:]:
            _write_shots(folder, seen["zero-shot"], shots)
    return Path(target)


def _of(row: Row, split: str) -> bool:
    return str(row[_UID]).startswith(f"v2-{split}-")


def _write_shots(folder: Path, unseen: list[Row], shots: int) -> None:
    groups: dict[str, list[Row]] = {}
    for row in unseen:
        names = objects(str(row[_OBJECTS]))
        if len(names) == 1:
            groups.setdefault(names[0], []).append(row)
    train = [row for rows in groups.values() for row in rows[: min(shots, len(rows) - 1)]]
    test = [row for row in unseen if row not in train]
    for split, rows in (("train", train), ("test", test)):
        # as the official tables are: columns that say nothing, and one split for all
        empty = {**dict.fromkeys(_EMPTY, ""), _SPLIT: "v3_1_shot_train"}
        write_table(folder / tables(shots)[split], COLUMNS, [_with(row, empty) for row in rows])


def _with(row: Row, changes: dict[int, str]) -> Row:
    return tuple(changes.get(k, value) for k, value in enumerate(row))
