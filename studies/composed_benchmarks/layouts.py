"""Composed scenes in the benchmarks' layouts, by name; S4, MS3 and AVS-Synthetic."""

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from save_avs._files import atomic_folder
from save_avs.datasets import avs_synthetic, avsbench_object
from save_avs.errors import UsageError
from save_avs.synthesis.corpus import CorpusSplit
from studies.composed_benchmarks.clips import (
    ONE_SOURCE,
    SEVERAL_SOURCES,
    LayoutRequest,
    plan_scenes,
    sounding_classes_in_view,
    write_clip_files,
    write_table,
)
from studies.composed_benchmarks.semantic import write_avss, write_v3

SYNTHETIC_S = 3.0  # long enough for the second patch
SYNTHETIC_COLUMNS = [
    "inst_id",
    "img_id",
    "area",
    "box",
    "cls_name",
    "cls_id",
    "dataset",
    "split",
    "audio_name",
]


def _write_s4(request: LayoutRequest, root: Path) -> None:
    """Write five-second clips, in each of which one class sounds."""
    folder, rows = root / avsbench_object.S4_FOLDER, []
    for split, name, scene in plan_scenes(request, ONE_SOURCE, seconds=avsbench_object.FRAMES):
        (category,) = sounding_classes_in_view(scene)
        category = category.replace(" ", "_")
        paths = avsbench_object.s4_paths(folder, split=split, category=category, name=name)
        write_clip_files(scene, paths, size=request.size)
        rows.append((name, 0, category, split))
    write_table(folder / avsbench_object.S4_TABLE, avsbench_object.S4_COLUMNS, rows)


def _write_ms3(request: LayoutRequest, root: Path) -> None:
    """Write five-second clips, in each of which one or two classes sound."""
    folder, rows = root / avsbench_object.MS3_FOLDER, []
    for split, name, scene in plan_scenes(request, SEVERAL_SOURCES, seconds=avsbench_object.FRAMES):
        paths = avsbench_object.ms3_paths(folder, split=split, name=name)
        write_clip_files(scene, paths, size=request.size)
        rows.append((name, split))
    write_table(folder / avsbench_object.MS3_TABLE, avsbench_object.MS3_COLUMNS, rows)


def _write_synthetic(request: LayoutRequest, folder: Path) -> None:
    """Write images in each of which one class sounds."""
    rows, audio_names = [], {}
    for split, name, scene in plan_scenes(request, ONE_SOURCE, seconds=SYNTHETIC_S):
        (category,) = sounding_classes_in_view(scene)
        index = request.corpora[split].names.index(category)
        image, audio = f"{name}-image", f"{name}-audio"
        paths = avs_synthetic.clip_paths(folder, instance=name, image=image, audio=audio)
        write_clip_files(scene, paths, size=request.size, first_second=avs_synthetic.PATCH)
        official_split = avs_synthetic.SPLIT_NAMES[split]
        rows.append((name, image, "", "", category, index, "composed", official_split, audio))
        if split == "train":
            audio_names.setdefault(index, []).append(audio)
    write_table(folder / avs_synthetic.TABLE, SYNTHETIC_COLUMNS, rows)
    (folder / avs_synthetic.AUDIO_TABLE).write_bytes(pickle.dumps(audio_names))


class LayoutWriter(NamedTuple):
    """A benchmark's layout."""

    write: Callable[[LayoutRequest, Path], None]  # writes a request into an empty folder
    splits: tuple[CorpusSplit, ...] = ("train", "val", "test")  # that it can have
    needs_all_splits: bool = False  # it makes sense with all of them only


LAYOUT_WRITERS: dict[str, LayoutWriter] = {
    "s4": LayoutWriter(_write_s4),
    "ms3": LayoutWriter(_write_ms3),
    "avss": LayoutWriter(write_avss),
    "v3": LayoutWriter(write_v3, ("train", "val", "zero-shot"), needs_all_splits=True),
    "synthetic": LayoutWriter(_write_synthetic),
}


def check_splits(name: str, splits: Sequence[str] | None) -> tuple[CorpusSplit, ...]:
    """Return the splits to write in a layout: those asked for, by default all.

    Raises:
        UsageError: no such layout, a split that it cannot have, or too few.
    """
    if name not in LAYOUT_WRITERS:
        raise UsageError(f"Unknown layout '{name}': choose from {', '.join(LAYOUT_WRITERS)}")
    writer = LAYOUT_WRITERS[name]
    for split in splits or ():
        if split not in writer.splits:
            raise UsageError(f"Unknown split '{split}' for {name}: choose from {', '.join(writer.splits)}")
    chosen: tuple[CorpusSplit, ...] = tuple(
        split for split in writer.splits if not splits or splits.count(split)
    )
    if writer.needs_all_splits and len(chosen) < len(writer.splits):
        raise UsageError(f"{name} requires all of {', '.join(writer.splits)}: leave out --split")
    return chosen


def write_layout(name: str, request: LayoutRequest, target: str | Path) -> Path:
    """Write composed scenes into a new folder in one of ``LAYOUT_WRITERS``."""
    with atomic_folder(Path(target)) as folder:
        LAYOUT_WRITERS[name].write(request, folder)
    return Path(target)
