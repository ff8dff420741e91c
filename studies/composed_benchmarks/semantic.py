"""Composed scenes in the layouts of AVSBench-semantic and V3."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from save_avs.datasets.avsbench_semantic import (
    CLASSES,
    COLUMNS,
    FRAMES,
    SHOTS,
    TABLE,
    clip_paths,
    color_labels,
    parse_objects,
    v3_tables,
)
from save_avs.datasets.clip_files import palette
from save_avs.errors import UsageError
from save_avs.synthesis.corpus import CorpusSplit
from save_avs.synthesis.render import InstanceMap
from save_avs.synthesis.scene import Scene, SceneOptions
from studies.composed_benchmarks.clips import (
    ONE_SOURCE,
    SEVERAL_SOURCES,
    LayoutRequest,
    plan_scenes,
    sounding_classes_in_view,
    write_clip_files,
    write_table,
)


class SubsetOptions(NamedTuple):
    """How the scenes of ``v1s``, ``v1m`` or ``v2`` are drawn, in how many segments."""

    subset: str
    options: SceneOptions
    segments: int = 1


# One object sounds; one or two; changing at half time, including none or one out of view.
V1S, V1M = SubsetOptions("v1s", ONE_SOURCE), SubsetOptions("v1m", SEVERAL_SOURCES)
V2 = SubsetOptions("v2", replace(SEVERAL_SOURCES, source_count_probs=(0.12, 0.5, 0.38)), segments=2)
UNSEEN = SubsetOptions("v2", ONE_SOURCE)


class ClipRow(NamedTuple):
    """A row of ``metadata.csv``."""

    vid: str
    uid: str
    s_min: object
    s_sec: object
    a_obj: str
    split: str
    label: str


def write_avss(request: LayoutRequest, folder: Path) -> None:
    """Write the three subsets, each with ``request.count`` clips in each split."""
    _write_subsets([(subset, request) for subset in (V1S, V1M, V2)], folder)


def write_v3(request: LayoutRequest, folder: Path) -> None:
    """Write V3 from the corpora ``train`` and ``val`` (seen classes) and ``zero-shot`` (unseen classes).

    In an unseen clip one class sounds. The first clips of each class are the shots, and at least one is left
    for testing: a class with one clip has no shot, and there must be more clips than unseen classes.
    """
    unseen: CorpusSplit = "zero-shot"
    classes = len(request.corpora[unseen].sounding) if unseen in request.corpora else 0
    if request.count <= classes:
        raise UsageError(f"{classes} unseen classes need more clips: use --count {classes + 1} or more")
    seen = {split: corpus for split, corpus in request.corpora.items() if split != unseen}
    rest = {split: corpus for split, corpus in request.corpora.items() if split == unseen}
    parts = [(V2, replace(request, corpora=seen)), (UNSEEN, replace(request, corpora=rest))]
    rows = _write_subsets(parts, folder)
    for split, source in (("train", "train"), ("val", "val"), ("test", unseen)):
        label = "unseen" if source == unseen else f"seen_{split}"
        chosen = [row._replace(split=label) for row in _rows_of(rows, source)]
        write_table(folder / v3_tables(0)[split], COLUMNS, chosen)
    for shots in SHOTS[1:]:
        _write_shots(folder, _rows_of(rows, unseen), shots)


def _write_subsets(parts: Sequence[tuple[SubsetOptions, LayoutRequest]], folder: Path) -> list[ClipRow]:
    """Write subsets with ``metadata.csv``, whose rows are returned, and ``label2idx.json``."""
    corpus = next(iter(parts[0][1].corpora.values()))
    indices = {name: k for k, name in enumerate(("background", *map(_label, corpus.names)))}
    rows: list[ClipRow] = []
    for (subset, options, segments), request in parts:
        planned = plan_scenes(request, options, seconds=FRAMES[subset], segments=segments, subset=subset)
        for corpus_split, name, scene in planned:
            split = "test" if corpus_split == "zero-shot" else corpus_split
            paths = clip_paths(folder, subset=subset, uid=name, split=split)
            write_clip_files(scene, paths, size=request.size, write_annotation=_LabelWriter(indices))
            rows.append(ClipRow(name, name, 0, 0, _a_obj(scene), split, subset))
    write_table(folder / TABLE, COLUMNS, rows)
    (folder / CLASSES).write_text(json.dumps(indices, indent=1) + "\n", "utf-8")
    return rows


@dataclass(frozen=True)
class _LabelWriter:
    """Writes each pixel's label: its index into ``labels_semantic``, its color into ``labels_rgb``."""

    indices: dict[str, int]

    def __call__(self, path: Path, instances: InstanceMap, scene: Scene, time: float) -> None:
        labels = np.zeros(instances.shape, np.uint8)
        for k in scene.sounding_at(time):
            labels[instances == k] = self.indices[_label(scene.objects[k].cutout.group)]
        for target, pixels in ((path, labels), (color_labels(path), palette()[labels])):
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(target)


def _label(name: str) -> str:
    """Return a class name without spaces and without the ``_`` that joins names."""
    return name.replace("_", "-").replace(" ", "-")


def _a_obj(scene: Scene) -> str:
    """Return the ``a_obj`` of a scene: what sounds in view, or else why nothing does."""
    names = map(_label, sounding_classes_in_view(scene))
    sounds = any(source.name for source in scene.audio_sources)
    return "_".join(names) or ("off-the-screen" if sounds else "background")


def _rows_of(rows: Sequence[ClipRow], split: str) -> list[ClipRow]:
    return [row for row in rows if row.uid.startswith(f"v2-{split}-")]


def _write_shots(folder: Path, unseen: Sequence[ClipRow], shots: int) -> None:
    by_class: dict[str, list[ClipRow]] = {}
    for row in unseen:
        names = parse_objects(row.a_obj)
        if len(names) == 1:
            by_class.setdefault(names[0], []).append(row)
    train = [row for rows in by_class.values() for row in rows[: min(shots, len(rows) - 1)]]
    test = [row for row in unseen if row not in train]
    for split, rows in (("train", train), ("test", test)):
        # as in the official tables: empty columns, and one split name for all
        emptied = [row._replace(s_min="", s_sec="", a_obj="", split="v3_1_shot_train") for row in rows]
        write_table(folder / v3_tables(shots)[split], COLUMNS, emptied)
