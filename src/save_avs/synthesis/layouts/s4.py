"""Composed scenes as AVSBench-object, Single-source (S4)."""

from __future__ import annotations

from pathlib import Path

from save_avs.datasets.s4 import COLUMNS, FRAMES, HOME, TABLE, clip_files
from save_avs.synthesis.corpus_io import new_folder
from save_avs.synthesis.layouts.stills import (
    ONE,
    LayoutRequest,
    plan_scenes,
    sounding_classes_in_view,
    write_clip_files,
    write_table,
)


def write_s4(order: LayoutRequest, target: str | Path) -> Path:
    """Write a new folder of five-second clips, in each of which one class sounds.

    Raises:
        UsageError: when the folder exists.
    """
    with new_folder(target) as folder:
        home, rows = folder / HOME, []
        for drawn in plan_scenes(order, ONE, seconds=FRAMES):
            (category,) = sounding_classes_in_view(drawn.scene)
            category = category.replace(" ", "_")
            files = clip_files(home, split=drawn.split, category=category, name=drawn.name)
            write_clip_files(drawn.scene, files, size=order.size)
            rows.append((drawn.name, 0, category, drawn.split))
        write_table(home / TABLE, COLUMNS, rows)
    return Path(target)
