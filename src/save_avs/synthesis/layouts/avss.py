"""Composed scenes as AVSBench-semantic: the class of each sounding pixel, as an index and as a color."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from save_avs.datasets.avss import CLASSES, COLUMNS, FRAMES, TABLE, clip_files, colored
from save_avs.datasets.palette import color
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.corpus_io import new_folder
from save_avs.synthesis.layouts.stills import (
    ONE,
    SEVERAL,
    LayoutRequest,
    plan_scenes,
    sounding_classes_in_view,
    write_clip_files,
    write_table,
)
from save_avs.synthesis.render import InstanceMap
from save_avs.synthesis.scene import Scene, SceneOptions


@dataclass(frozen=True)
class SubsetOptions:
    """How the scenes of a subset are drawn.

    Attributes:
        subset: ``v1s``, ``v1m`` or ``v2``.
        options: what may sound.
        segments: stretches in which the same things sound.
    """

    subset: str
    options: SceneOptions
    segments: int = 1


# One thing sounds; one or two; changing at half time, with none or one out of view among them.
V1S, V1M = SubsetOptions("v1s", ONE), SubsetOptions("v1m", SEVERAL)
V2 = SubsetOptions("v2", replace(SEVERAL, source_count_probs=(0.12, 0.5, 0.38)), segments=2)

Row = tuple[object, ...]


def write_avss(order: LayoutRequest, target: str | Path) -> Path:
    """Write a new folder of the three subsets, each with ``order.count`` clips in each split.

    Raises:
        UsageError: when the folder exists.
    """
    with new_folder(target) as folder:
        write_subsets([(kind, order) for kind in (V1S, V1M, V2)], folder)
    return Path(target)


def write_subsets(parts: Sequence[tuple[SubsetOptions, LayoutRequest]], home: Path) -> list[Row]:
    """Write subsets into a folder, with ``metadata.csv`` and ``label2idx.json``.

    Returns:
        the rows of ``metadata.csv``; a clip of the zero-shot split stands there as ``test``.
    """
    names = _class_names(next(iter(parts[0][1].corpora.values())))
    truth = _WriteLabels({name: k for k, name in enumerate(names)})
    rows: list[Row] = []
    for kind, order in parts:
        subset, seconds = kind.subset, FRAMES[kind.subset]
        for drawn in plan_scenes(order, kind.options, seconds=seconds, segments=kind.segments, kind=subset):
            split = "test" if drawn.split == "zero-shot" else drawn.split
            files = clip_files(home, subset=subset, uid=drawn.name, split=split)
            write_clip_files(drawn.scene, files, size=order.size, truth=truth)
            rows.append((drawn.name, drawn.name, 0, 0, _objects(drawn.scene), split, subset))
    write_table(home / TABLE, COLUMNS, rows)
    (home / CLASSES).write_text(json.dumps({n: k for k, n in enumerate(names)}, indent=1) + "\n", "utf-8")
    return rows


def _class_names(corpus: Corpus) -> tuple[str, ...]:
    return ("background", *(_label(name) for name in corpus.names))


def _label(name: str) -> str:
    """A class's name without the ``_`` that joins names, and without spaces."""
    return name.replace("_", "-").replace(" ", "-")


def _objects(scene: Scene) -> str:
    """``a_obj`` of a scene: what sounds in view, or which kind of nothing does."""
    names = [_label(name) for name in sounding_classes_in_view(scene)]
    heard = any(voice.name for voice in scene.audio_sources)
    return "_".join(names) or ("off-the-screen" if heard else "background")


@dataclass(frozen=True)
class _WriteLabels:
    """Writes each pixel's label: its index into ``labels_semantic``, its color into ``labels_rgb``."""

    indices: dict[str, int]

    def __call__(self, path: Path, instances: InstanceMap, scene: Scene, time: float) -> None:
        labels = np.zeros(instances.shape, np.uint8)
        for k in scene.sounding_at(time):
            labels[instances == k] = self.indices[_label(scene.objects[k].cutout.group)]
        for target, picture in ((path, Image.fromarray(labels)), (colored(path), color(labels))):
            target.parent.mkdir(parents=True, exist_ok=True)
            picture.save(target)
