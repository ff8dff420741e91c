"""AVSBench-semantic (AVSS) and V3: every pixel with its class.

AVSS has three subsets: ``v1s`` and ``v1m`` are the clips of S4 and MS3 again (5 frames), ``v2`` adds clips of
10 frames; ``avss`` is all three. V3 is for classes that training never hears: its tables (from the GAVS
repository) stand next to ``metadata.csv`` and select among its clips. Zero-shot: train on the seen classes,
select on their validation clips, test on the unseen ones. Few-shot: continue with the shots; each number of
shots has its own test list.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath

from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import ClipPaths, read_colors, read_indices, read_table
from save_avs.datasets.image_and_video_clips import ClipDataset, ClipEntry, ImageSequenceClip
from save_avs.datasets.spec import SPLITS, DatasetSpec, Entries, source_video
from save_avs.datasets.stored_files import PathT, exists, read_file
from save_avs.errors import DataError, UsageError
from save_avs.types import U8

FOLDERS = ("AVSBench-semantic", "AVSS")
TABLE = "metadata.csv"
CLASSES = "label2idx.json"
COLUMNS = ("vid", "uid", "s_min", "s_sec", "a_obj", "split", "label")
FRAMES = {"v1s": 5, "v1m": 5, "v2": 10}
OFFICIAL_CLASSES = 71  # with the background, 0
SHOTS = (0, 1, 3, 5)

_COUNTS = {"v1s": (3452, 740, 740), "v1m": (296, 64, 64), "v2": (4750, 500, 750)}
_V3_COUNTS = {0: (4807, 535, 758), 1: (11, 535, 532), 3: (33, 535, 510), 5: (55, 535, 488)}
_NO_CLASS = {"background", "off-the-screen"}  # entries of a_obj that name no class of the 71


def clip_paths(folder: PathT, *, subset: str, uid: str, split: str) -> ClipPaths[PathT]:
    """Return the files of a clip. Frames count from 0; of v1s, train has labels of frame 0 only."""
    clip, count = folder / subset / uid, FRAMES[subset]
    annotated = 1 if (subset, split) == ("v1s", "train") else count
    return ClipPaths(
        frames=tuple(clip / "frames" / f"{k}.jpg" for k in range(count)),
        annotations=tuple(
            clip / "labels_semantic" / f"{k}.png" if k < annotated else None for k in range(count)
        ),
        audio=clip / "audio.wav",
    )


def color_labels(path: PathT) -> PathT:
    """Return the image of ``labels_rgb`` that says the same as one of ``labels_semantic``."""
    return path.parent.parent / "labels_rgb" / path.name


def uses_colors(path: PurePath) -> bool:
    """Whether an image of ``labels_semantic`` is missing and ``labels_rgb`` has it."""
    return not exists(path) and exists(color_labels(path))


@dataclass(frozen=True)
class LabelReader:
    """Reads the labels of a frame, from ``labels_rgb`` where ``labels_semantic`` is missing."""

    classes: int  # how many there are
    # as the public code: from ``labels_rgb``, whose colors of no class are background
    as_published: bool = False

    def __call__(self, path: PurePath) -> U8:
        """Read the labels for a path of ``labels_semantic``, u8 [H,W]."""
        if self.as_published and exists(color_labels(path)):
            return read_colors(color_labels(path), self.classes, foreign_as_background=True)
        if uses_colors(path):
            return read_colors(color_labels(path), self.classes)
        return read_indices(path, self.classes)


def class_names(folder: PurePath) -> tuple[str, ...]:
    """Return the class names in the order of their indices, background first.

    Without ``label2idx.json`` labels can be read all the same; classes are then named by number. A DataError
    if the file does not number its names from 0.
    """
    path = folder / CLASSES
    if not exists(path):
        return ("background", *(str(k) for k in range(1, OFFICIAL_CLASSES)))
    try:
        indices = {str(name): int(index) for name, index in json.loads(read_file(path)).items()}
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise DataError(f"{path}: not a table of class names and indices ({error})") from error
    names = tuple(sorted(indices, key=lambda name: indices[name]))
    if [indices[name] for name in names] != list(range(len(names))):
        raise DataError(f"{path}: indices must run from 0 (the background) without a gap")
    return names


def parse_objects(a_obj: str) -> tuple[str, ...]:
    """Return the sounding classes in a value of ``a_obj``, joined by ``_``, cleaned of the table's errors.

    ``h orse`` is a horse; ``background`` and ``off-the-screen`` name no class. A name may contain ``-``.
    """
    names = ("".join(part.split()) for part in a_obj.split("_"))
    return tuple(dict.fromkeys(name for name in names if name and name not in _NO_CLASS))


def v3_tables(shots: int) -> dict[str, str]:
    """Return the table that lists the clips of each split."""
    val = "meta_v3_seen_val.csv"
    if shots == 0:
        return {"train": "meta_v3_seen_train.csv", "val": val, "test": "meta_v3_unseen.csv"}
    return {"train": f"v3_{shots}_shot_train.csv", "val": val, "test": f"v3_{shots}_shot_test.csv"}


def _entry(folder: PurePath, row: Mapping[str, str], *, classes: int) -> ClipEntry:
    if row["label"] not in FRAMES:
        raise DataError(f"{folder / TABLE}: {row['uid']} belongs to an unknown subset '{row['label']}'")
    return ImageSequenceClip(
        ClipMetadata(row["uid"], source_video(row["vid"]), parse_objects(row["a_obj"])),
        clip_paths(folder, subset=row["label"], uid=row["uid"], split=row["split"]),
        LabelReader(classes),
    )


def _avss_entries(subsets: Iterable[str], folder: PurePath, split: str, _: int) -> list[ClipEntry]:
    classes = len(class_names(folder))
    rows = read_table(folder / TABLE, COLUMNS)
    chosen = (row for row in rows if row["label"] in subsets and row["split"] == split)
    return [_entry(folder, row, classes=classes) for row in chosen]


def _v3_entries(shots: int, folder: PurePath, split: str, _: int) -> list[ClipEntry]:
    rows = {row["uid"]: row for row in read_table(folder / TABLE, COLUMNS)}
    classes = len(class_names(folder))
    table = folder / v3_tables(shots)[split]
    # The few-shot tables leave a_obj, s_min and s_sec empty, and their split is meaningless.
    uids = [row["uid"] for row in read_table(table, ("uid",))]
    unknown = [uid for uid in uids if uid not in rows]
    if unknown:
        raise DataError(f"{table}: {len(unknown)} clips are not in {TABLE}, such as {unknown[0]}")
    return [_entry(folder, rows[uid], classes=classes) for uid in uids]


def as_published(clips: ClipDataset) -> ClipDataset:
    """Return clips of AVSS as the benchmark's public code reads and scores them.

    Frames without audio get zeros of log-mel instead of the last patch again; labels come from
    ``labels_rgb``, whose colors of no class are background; clips of 5 frames are scored as if padded to 10.

    Raises:
        UsageError: they are not of AVSS, or are stored in shards, which do not hold both kinds of labels.

    Source: ``color_dataloader.py`` and ``torchvggish/vggish.py`` of AVSBench (arXiv 2301.13190).
    """
    entries = []
    for entry in clips.entries if clips.name in {spec.name for spec in AVSS} else ():
        if isinstance(entry, ImageSequenceClip) and isinstance(entry.read_annotation, LabelReader):
            reader = replace(entry.read_annotation, as_published=True)
            entries.append(replace(entry, read_annotation=reader, repeat_last_patch=False))
    if len(entries) != len(clips):
        raise UsageError(f"{clips.name} has no published way of padding: use v1s, v1m, v2 or avss, unpacked")
    return replace(clips, entries=entries, padded_to=max(FRAMES.values()))


def _avss(name: str, title: str, subsets: tuple[str, ...]) -> DatasetSpec:
    counts = [sum(split) for split in zip(*(_COUNTS[subset] for subset in subsets), strict=True)]
    entries = partial(_avss_entries, subsets)
    return _spec(name, f"AVSBench-semantic {title}", (TABLE, CLASSES), counts, entries)


def _v3(shots: int) -> DatasetSpec:
    title = f"AVSBench V3, {shots}-shot" if shots else "AVSBench V3, zero-shot"
    tables = v3_tables(shots)
    files = (tables["test"], tables["train"], tables["val"], TABLE)
    return _spec(f"v3-{shots}", title, files, _V3_COUNTS[shots], partial(_v3_entries, shots))


def _spec(
    name: str, title: str, tables: tuple[str, ...], counts: Sequence[int], entries: Entries
) -> DatasetSpec:
    official: dict[str, int] = dict(zip(SPLITS, counts, strict=True))
    return DatasetSpec(name, title, FOLDERS, tables, official, entries, class_names)


AVSS = (
    _avss("v1s", "V1S", ("v1s",)),
    _avss("v1m", "V1M", ("v1m",)),
    _avss("v2", "V2", ("v2",)),
    _avss("avss", "(V1S, V1M and V2)", tuple(FRAMES)),
)
V3 = tuple(map(_v3, SHOTS))
