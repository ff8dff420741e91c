"""COCO dataset: one JSON with images, annotations and the category, as pycocotools opens it."""

import json
from pathlib import Path
from typing import Any

from save_avs._files import atomic_write
from save_avs.formats.masks_json import LABEL, MaskDocument, rle_json
from save_avs.types import MaskObject

CATEGORY_ID = 1


def build_coco_dataset(document: MaskDocument) -> dict[str, Any]:
    """Return the COCO dataset: an image for each processed frame, an annotation for each mask or object."""
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
    marked = [(index, each) for i, index in enumerate(masks.indices) for each in document.annotations(i)]
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
        "annotations": [_annotation(*each, number) for number, each in enumerate(marked, start=1)],
        "categories": [{"id": CATEGORY_ID, "name": LABEL, "supercategory": ""}],
    }


def write_coco(path: Path, document: MaskDocument) -> None:
    """Write the dataset as JSON."""
    atomic_write(path, json.dumps(build_coco_dataset(document), ensure_ascii=False, allow_nan=False) + "\n")


def _annotation(image: int, found: MaskObject, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": CATEGORY_ID,
        "segmentation": rle_json(found.size, found.counts),
        "area": found.area,
        "bbox": list(map(float, found.box)),
        "iscrowd": 0,
        "score": round(found.score, 6),
    } | ({} if found.id is None else {"track_id": found.id})
