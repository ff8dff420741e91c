"""COCO dataset: one JSON with images, annotations and the category, as pycocotools opens it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from save_avs._files import atomic_write
from save_avs._rle import rle_area, rle_bounding_box
from save_avs.formats.masks_json import LABEL, MaskDocument, rle_json

CATEGORY_ID = 1


def build_coco_dataset(document: MaskDocument) -> dict[str, Any]:
    """Return the COCO dataset: an image for each processed frame, an annotation for each non-empty mask."""
    masks = document.video_masks
    height, width = masks.size
    images = [
        {
            "id": index,
            "file_name": document.image_name(i),
            "width": width,
            "height": height,
            "time": round(masks.times[i], 6),
            "source_index": masks.source_indices[i],
        }
        for i, index in enumerate(masks.indices)
    ]
    marked = [i for i in range(len(masks)) if rle_area(masks.counts[i])]
    description = f"sounding objects in {document.video['path']}"
    return {
        "info": {
            "description": description,
            "version": "1",
            "video": dict(document.video),
            "model": dict(document.model),
        },
        "licenses": [],
        "images": images,
        "annotations": [_annotation(document, i, number) for number, i in enumerate(marked, start=1)],
        "categories": [{"id": CATEGORY_ID, "name": LABEL, "supercategory": ""}],
    }


def write_coco(path: Path, document: MaskDocument) -> None:
    """Write the dataset as JSON."""
    atomic_write(path, json.dumps(build_coco_dataset(document), ensure_ascii=False, allow_nan=False) + "\n")


def _annotation(document: MaskDocument, i: int, number: int) -> dict[str, Any]:
    masks = document.video_masks
    rows, columns = rle_bounding_box(masks.counts[i], masks.size)
    return {
        "id": number,
        "image_id": masks.indices[i],
        "category_id": CATEGORY_ID,
        "segmentation": rle_json(masks, i),
        "area": rle_area(masks.counts[i]),
        # x, y, width, height
        "bbox": [
            float(side)
            for side in (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        ],
        "iscrowd": 0,
        "score": round(masks.scores[i], 6),
    }
