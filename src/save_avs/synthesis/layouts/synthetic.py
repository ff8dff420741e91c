"""Composed scenes as AVS-Synthetic: single pictures, a mask, and sounds by class."""

from __future__ import annotations

import pickle
from pathlib import Path

from save_avs.datasets.synthetic import PATCH, SOUNDS, SPLIT_NAMES, TABLE, clip_files
from save_avs.synthesis.corpus_io import new_folder
from save_avs.synthesis.layouts.stills import (
    ONE,
    LayoutRequest,
    plan_scenes,
    sounding_classes_in_view,
    write_clip_files,
    write_table,
)

SECONDS = 3.0  # room for the second patch
COLUMNS = ("inst_id", "img_id", "area", "box", "cls_name", "cls_id", "dataset", "split", "audio_name")
_SOURCE = "composed"  # the column that names the data set a picture was taken from


def write_synthetic(order: LayoutRequest, target: str | Path) -> Path:
    """Write a new folder of pictures in each of which one class sounds.

    Raises:
        UsageError: when the folder exists.
    """
    with new_folder(target) as folder:
        rows, sounds = [], {}
        for drawn in plan_scenes(order, ONE, seconds=SECONDS):
            (category,) = sounding_classes_in_view(drawn.scene)
            index = order.corpora[drawn.split].names.index(category)
            name = drawn.name
            files = clip_files(folder, instance=name, picture=f"{name}-picture", sound=f"{name}-sound")
            write_clip_files(drawn.scene, files, size=order.size, first=PATCH)
            split = SPLIT_NAMES[drawn.split]
            picture, sound = files.frames[0].stem, files.wav.stem
            rows.append((name, picture, "", "", category, index, _SOURCE, split, sound))
            if drawn.split == "train":
                sounds.setdefault(index, []).append(sound)
        write_table(folder / TABLE, COLUMNS, rows)
        (folder / SOUNDS).write_bytes(pickle.dumps(sounds))
    return Path(target)
