"""A COCO data set: one JSON with images, annotations and the category, as pycocotools opens it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from faster_coco_eval.core import mask as coco

from save_avs._files import atomic_write
from save_avs.formats.maskset import LABEL, MaskDocument

CATEGORY = 1


def build_coco_dataset(masks: MaskDocument) -> dict[str, Any]:
    """Masks as a COCO data set: an image for each processed frame, an annotation for each mask not empty."""
    height, width = masks.video_masks.size
    images = [
        {
            "id": index,
            "file_name": masks.picture(i),
            "width": width,
            "height": height,
            "time": round(masks.video_masks.times[i], 6),
        }
        for i, index in enumerate(masks.video_masks.indices)
    ]
    found = (_annotation(masks, i) for i in range(len(masks.video_masks)))
    annotations = [{"id": n, **row} for n, row in enumerate((row for row in found if row["area"]), start=1)]
    return {
        "info": {"description": f"what sounds in {masks.video['path']}", "version": "1", **_made_by(masks)},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": CATEGORY, "name": LABEL, "supercategory": ""}],
    }


def write_coco(path: Path, masks: MaskDocument) -> None:
    """Write the data set as JSON, whole or not at all."""
    atomic_write(path, json.dumps(build_coco_dataset(masks), ensure_ascii=False, allow_nan=False) + "\n")


def _made_by(masks: MaskDocument) -> dict[str, Any]:
    return {"video": dict(masks.video), "model": dict(masks.model)}


def _annotation(masks: MaskDocument, i: int) -> dict[str, Any]:
    video_masks = masks.video_masks
    code: Any = {"size": list(video_masks.size), "counts": video_masks.counts[i]}
    return {
        "image_id": video_masks.indices[i],
        "category_id": CATEGORY,
        "segmentation": {"size": list(video_masks.size), "counts": video_masks.counts[i].decode("ascii")},
        "area": int(coco.area(code)),
        "bbox": [float(side) for side in coco.toBbox(code)],  # x, y, width, height
        "iscrowd": 0,
        "score": round(video_masks.scores[i], 6),
    }
