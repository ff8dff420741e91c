"""Composed scenes as AVSBench-object, Multi-sources (MS3)."""

from __future__ import annotations

from pathlib import Path

from save_avs.datasets.ms3 import COLUMNS, FRAMES, HOME, TABLE, clip_files
from save_avs.synthesis.corpus_io import new_folder
from save_avs.synthesis.layouts.stills import (
    SEVERAL,
    LayoutRequest,
    plan_scenes,
    write_clip_files,
    write_table,
)


def write_ms3(order: LayoutRequest, target: str | Path) -> Path:
    """Write a new folder of five-second clips, in each of which one or two classes sound.

    Raises:
        UsageError: when the folder exists.
    """
    with new_folder(target) as folder:
        home, rows = folder / HOME, []
        for drawn in plan_scenes(order, SEVERAL, seconds=FRAMES):
            files = clip_files(home, split=drawn.split, name=drawn.name)
            write_clip_files(drawn.scene, files, size=order.size)
            rows.append((drawn.name, drawn.split))
        write_table(home / TABLE, COLUMNS, rows)
    return Path(target)
