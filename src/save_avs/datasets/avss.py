"""AVSBench-semantic (AVSS): three subsets side by side, each pixel with its class.

``v1s`` and ``v1m`` are the clips of S4 and MS3 again (5 frames), ``v2`` adds clips of 10 frames; ``avss`` is
all three.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from save_avs._files import read_regular
from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import ClipPaths, read_table
from save_avs.datasets.clips import ClipEntry, ImageSequenceClip
from save_avs.datasets.palette import read_colors, read_indices
from save_avs.datasets.spec import DatasetSpec, source_video
from save_avs.errors import DataError
from save_avs.types import U8

HOMES = ("AVSBench-semantic", "AVSS")
TABLE = "metadata.csv"
CLASSES = "label2idx.json"
COLUMNS = ("vid", "uid", "s_min", "s_sec", "a_obj", "split", "label")
FRAMES = {"v1s": 5, "v1m": 5, "v2": 10}
OFFICIAL_CLASSES = 71  # with the background, 0
COUNTS = {
    "v1s": {"train": 3452, "val": 740, "test": 740},
    "v1m": {"train": 296, "val": 64, "test": 64},
    "v2": {"train": 4750, "val": 500, "test": 750},
}

SEMANTIC, COLORED = "labels_semantic", "labels_rgb"
_NOTHING_SEEN = {"background", "off-the-screen"}  # entries of a_obj that name no class of the 71


def clip_files(home: Path, *, subset: str, uid: str, split: str) -> ClipPaths[Path]:
    """Where a clip lies in its home. Files count frames from 0; of v1s, train has labels of frame 0 alone."""
    place, count = home / subset / uid, FRAMES[subset]
    annotated = 1 if (subset, split) == ("v1s", "train") else count
    return ClipPaths(
        frames=tuple(place / "frames" / f"{k}.jpg" for k in range(count)),
        annotations=tuple(place / SEMANTIC / f"{k}.png" if k < annotated else None for k in range(count)),
        wav=place / "audio.wav",
    )


def colored(semantic: Path) -> Path:
    """The picture of ``labels_rgb`` that says the same as one of ``labels_semantic``."""
    return semantic.parent.parent / COLORED / semantic.name


def is_colored(semantic: Path) -> bool:
    """Whether ``labels_rgb`` stands in for a picture of ``labels_semantic`` that is missing."""
    return not semantic.exists() and colored(semantic).exists()


@dataclass(frozen=True)
class ReadLabels:
    """Reads the labels of a frame, from ``labels_rgb`` where ``labels_semantic`` is missing.

    Attributes:
        classes: how many there are.
    """

    classes: int

    def __call__(self, path: Path) -> U8:
        """Read a picture of ``labels_semantic``, u8 [H,W].

        Raises:
            DataError: when neither it nor its colored twin can be read.
        """
        if is_colored(path):
            return read_colors(colored(path), self.classes)
        return read_indices(path, self.classes)


def class_names(home: Path) -> tuple[str, ...]:
    """Names of the classes in the order of their indices, background first.

    Without ``label2idx.json`` the labels can be read all the same; the classes are then called by number.

    Raises:
        DataError: when the file does not number its names from 0 on.
    """
    path = home / CLASSES
    if not path.exists():
        return ("background", *(str(k) for k in range(1, OFFICIAL_CLASSES)))
    try:
        indices = {str(name): int(index) for name, index in json.loads(read_regular(path)).items()}
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise DataError(f"{path}: is no table of class names and their indices ({error})") from error
    names = tuple(sorted(indices, key=lambda name: indices[name]))
    if [indices[name] for name in names] != list(range(len(names))):
        raise DataError(f"{path}: its indices must run from 0 (the background) on without a gap")
    return names


def objects(a_obj: str) -> tuple[str, ...]:
    """What sounds, from ``a_obj``: joined by ``_``, with the dirt of the official table taken off.

    ``h orse`` is a horse; ``background`` and ``off-the-screen`` name no class. A name may contain ``-``.
    """
    names = ("".join(part.split()) for part in a_obj.split("_"))
    return tuple(dict.fromkeys(name for name in names if name and name not in _NOTHING_SEEN))


def entry(home: Path, row: Mapping[str, str], *, classes: int) -> ImageSequenceClip:
    """The clip of a row of ``metadata.csv``.

    Raises:
        DataError: when the row names a subset that does not exist.
    """
    if row["label"] not in FRAMES:
        raise DataError(f"{home / TABLE}: {row['uid']} is of a subset '{row['label']}', which does not exist")
    return ImageSequenceClip(
        ClipMetadata(row["uid"], source_video(row["vid"]), objects(row["a_obj"])),
        clip_files(home, subset=row["label"], uid=row["uid"], split=row["split"]),
        ReadLabels(classes),
    )


def _entries(subsets: Iterable[str], home: Path, split: str, _: int) -> list[ClipEntry]:
    classes = len(class_names(home))
    rows = read_table(home / TABLE, COLUMNS)
    return [
        entry(home, row, classes=classes) for row in rows if row["label"] in subsets and row["split"] == split
    ]


def _spec(name: str, title: str, subsets: tuple[str, ...]) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        title=title,
        homes=HOMES,
        tables=(TABLE, CLASSES),
        counts={split: sum(COUNTS[subset][split] for subset in subsets) for split in COUNTS["v2"]},
        entries=partial(_entries, subsets),
        classes=class_names,
    )


SPECS = (
    _spec("v1s", "AVSBench-semantic V1S", ("v1s",)),
    _spec("v1m", "AVSBench-semantic V1M", ("v1m",)),
    _spec("v2", "AVSBench-semantic V2", ("v2",)),
    _spec("avss", "AVSBench-semantic (V1S, V1M and V2)", tuple(FRAMES)),
)
