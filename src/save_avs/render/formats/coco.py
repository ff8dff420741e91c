"""A COCO data set: one JSON with images, annotations and the category, as pycocotools opens it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pycocotools import mask as coco

from save_avs.media.atomic import atomic_write
from save_avs.render.formats.maskset import LABEL, MaskSet

CATEGORY = 1


def coco_dataset(masks: MaskSet) -> dict[str, Any]:
    """Masks as a COCO data set: an image for each processed frame, an annotation for each mask not empty."""
    height, width = masks.track.size
    images = [
        {
            "id": index,
            "file_name": masks.picture(i),
            "width": width,
            "height": height,
            "time": round(masks.track.times[i], 6),
        }
        for i, index in enumerate(masks.track.indices)
    ]
    found = (_annotation(masks, i) for i in range(len(masks.track)))
    annotations = [{"id": n, **row} for n, row in enumerate((row for row in found if row["area"]), start=1)]
    return {
        "info": {"description": f"what sounds in {masks.video['path']}", "version": "1", **_made_by(masks)},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": CATEGORY, "name": LABEL, "supercategory": ""}],
    }


def write_coco(path: Path, masks: MaskSet) -> None:
    """Write the data set as JSON, whole or not at all."""
    atomic_write(path, json.dumps(coco_dataset(masks), ensure_ascii=False, allow_nan=False) + "\n")


def _made_by(masks: MaskSet) -> dict[str, Any]:
    return {"video": dict(masks.video), "model": dict(masks.model)}


def _annotation(masks: MaskSet, i: int) -> dict[str, Any]:
    track = masks.track
    code: Any = {"size": list(track.size), "counts": track.counts[i]}
    return {
        "image_id": track.indices[i],
        "category_id": CATEGORY,
        "segmentation": {"size": list(track.size), "counts": track.counts[i].decode("ascii")},
        "area": int(coco.area(code)),
        "bbox": [float(side) for side in coco.toBbox(code)],  # x, y, width, height
        "iscrowd": 0,
        "score": round(track.scores[i], 6),
    }
