"""AVS-Synthetic (Zenodo 8125822): pictures with masks of one object, under a sound of its class."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from save_avs._files import open_regular
from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import ClipPaths
from save_avs.datasets.clips import ClipEntry, ImageSequenceClip
from save_avs.datasets.spec import DatasetSpec
from save_avs.datasets.tensor_pickle import read_plain_pickle
from save_avs.errors import DataError

HOMES = ("AVS-Synthetic",)
TABLE = "annotations.csv"
SOUNDS = "category_for_vggsound_audios.pkl"
SPLIT_NAMES = {"train": "train", "val": "validate", "test": "test"}  # ours, the table's
PATCH = 1  # the second 0.96 s of the sound goes with the picture

_COLUMNS = 9
_INSTANCE, _PICTURE, _CLASS, _CLASS_INDEX, _SOUND = 0, 1, 4, 5, 8  # the table is read by position


def clip_files(home: Path, *, instance: str, picture: str, sound: str) -> ClipPaths[Path]:
    """Where the picture, the mask and the sound of an instance lie in their home."""
    return ClipPaths(
        frames=(home / "images" / f"{picture}.jpg",),
        annotations=(home / "masks" / f"{instance}.png",),
        wav=home / "audios" / f"{sound}.wav",
    )


@dataclass(frozen=True)
class AnnotationRow:
    """What a row of ``annotations.csv`` says: names of files without their suffix, and the class."""

    instance: str
    picture: str
    category: str
    index: str
    sound: str
    split: str


def read_rows(path: Path) -> list[AnnotationRow]:
    """Read ``annotations.csv``: nine columns by position, but for the split, which is found by its name.

    Raises:
        DataError: when it is missing or broken.
    """
    try:
        with open_regular(path) as file:
            head, *rows = list(csv.reader(io.TextIOWrapper(file, "utf-8-sig", newline=""))) or [[]]
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error})") from error
    if "split" not in head or any(len(row) < _COLUMNS for row in (head, *rows)):
        raise DataError(f"{path}: must have {_COLUMNS} columns in each row, one of them named 'split'")
    split = head.index("split")
    return [_row(row, row[split]) for row in rows]


def _row(row: list[str], split: str) -> AnnotationRow:
    return AnnotationRow(
        instance=_stem(row[_INSTANCE], ".png"),
        picture=_stem(row[_PICTURE], ".jpg"),
        category=row[_CLASS],
        index=row[_CLASS_INDEX],
        sound=_stem(row[_SOUND], ".wav"),
        split=split,
    )


def read_sounds(path: Path) -> dict[str, list[str]]:
    """Read which sounds a class has: its index in the table to names of files, without their suffix.

    Raises:
        DataError: when it is missing, or is not a plain dictionary of lists of names.
    """
    table = read_plain_pickle(path)
    if not isinstance(table, dict) or not all(_names(names) for names in table.values()):
        raise DataError(f"{path}: must hold a dictionary of lists of sounds, by class index")
    return {str(index): [_stem(name, ".wav") for name in names] for index, names in table.items()}


def _names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _stem(name: object, suffix: str) -> str:
    return str(name).removesuffix(suffix)


def _entries(home: Path, split: str, seed: int) -> list[ClipEntry]:
    rows = [row for row in read_rows(home / TABLE) if row.split == SPLIT_NAMES[split]]
    sounds = read_sounds(home / SOUNDS) if split == "train" else {}
    return [_entry(home, row, _sound(row, sounds, (seed, i))) for i, row in enumerate(rows)]


def _sound(row: AnnotationRow, sounds: dict[str, list[str]], seed: tuple[int, int]) -> str:
    """Training draws any sound of the class, from (seed, index); elsewhere the row's own stands."""
    choice = sounds.get(row.index)
    return choice[np.random.default_rng(seed).integers(len(choice))] if choice else row.sound


def _entry(home: Path, row: AnnotationRow, sound: str) -> ImageSequenceClip:
    return ImageSequenceClip(
        ClipMetadata(row.instance, row.picture, (row.category,)),
        clip_files(home, instance=row.instance, picture=row.picture, sound=sound),
        first_log_mel_patch=PATCH,
    )


SPEC = DatasetSpec(
    name="synthetic",
    title="AVS-Synthetic",
    homes=HOMES,
    tables=(TABLE, SOUNDS),
    counts={},  # its release states no counts that could be checked here
    entries=_entries,
    has_random_audio=True,
)
