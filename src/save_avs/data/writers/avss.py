"""Composed scenes as AVSBench-semantic: the class of each sounding pixel, as an index and as a colour."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from save_avs.data.benchmarks.avss import CLASSES, COLUMNS, FRAMES, TABLE, clip_files, coloured
from save_avs.data.benchmarks.palette import colour
from save_avs.data.corpus import Corpus
from save_avs.data.files import new_folder
from save_avs.data.paint import Layers
from save_avs.data.scene import Scene, SceneOptions
from save_avs.data.writers.stills import ONE, SEVERAL, Order, draw, heard_in_view, write_stills, write_table


@dataclass(frozen=True)
class Kind:
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
V1S, V1M = Kind("v1s", ONE), Kind("v1m", SEVERAL)
V2 = Kind("v2", replace(SEVERAL, sources=(0.12, 0.5, 0.38)), segments=2)

Row = tuple[object, ...]


def write_avss(order: Order, target: str | Path) -> Path:
    """Write a new folder of the three subsets, each with ``order.count`` clips in each split.

    Raises:
        UsageError: when the folder exists.
    """
    with new_folder(target) as folder:
        write_subsets([(kind, order) for kind in (V1S, V1M, V2)], folder)
    return Path(target)


def write_subsets(parts: Sequence[tuple[Kind, Order]], home: Path) -> list[Row]:
    """Write subsets into a folder, with ``metadata.csv`` and ``label2idx.json``.

    Returns:
        the rows of ``metadata.csv``; a clip of the zero-shot split stands there as ``test``.
    """
    names = _class_names(next(iter(parts[0][1].corpora.values())))
    truth = _WriteLabels({name: k for k, name in enumerate(names)})
    rows: list[Row] = []
    for kind, order in parts:
        subset, seconds = kind.subset, FRAMES[kind.subset]
        for drawn in draw(order, kind.options, seconds=seconds, segments=kind.segments, kind=subset):
            split = "test" if drawn.split == "zero-shot" else drawn.split
            files = clip_files(home, subset=subset, uid=drawn.name, split=split)
            write_stills(drawn.scene, files, size=order.size, truth=truth)
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
    names = [_label(name) for name in heard_in_view(scene)]
    heard = any(voice.name for voice in scene.voices)
    return "_".join(names) or ("off-the-screen" if heard else "background")


@dataclass(frozen=True)
class _WriteLabels:
    """Writes each pixel's label: its index into ``labels_semantic``, its colour into ``labels_rgb``."""

    indices: dict[str, int]

    def __call__(self, path: Path, layers: Layers, scene: Scene, time: float) -> None:
        labels = np.zeros(layers.shape, np.uint8)
        for k in scene.sources_at(time):
            labels[layers == k] = self.indices[_label(scene.things[k].cutout.group)]
        for target, picture in ((path, Image.fromarray(labels)), (coloured(path), colour(labels))):
            target.parent.mkdir(parents=True, exist_ok=True)
            picture.save(target)
