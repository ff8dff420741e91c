"""Masks as detections of the package supervision, which draws, filters and counts them."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np

from save_avs._extras import require
from save_avs.formats.masks_json import LABEL, MaskDocument


def iterate_detections(document: MaskDocument) -> Iterator[Any]:
    """Return an iterator over ``supervision.Detections``: one for each object, or for each mask not empty.

    Raises:
        MissingExtraError: supervision is not installed.
    """
    require("supervision", "supervision")
    supervision: Any = import_module("supervision")
    return (_detections(supervision, document, i) for i in range(len(document.video_masks)))


def _detections(supervision: Any, document: MaskDocument, i: int) -> Any:
    masks, found = document.video_masks, document.annotations(i)
    boxes = [(left, top, left + width, top + height) for left, top, width, height in (x.box for x in found)]
    tracked = bool(found) and found[0].id is not None
    return supervision.Detections(
        xyxy=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        mask=np.array([each.mask for each in found], dtype=np.bool_).reshape(-1, *masks.size),
        confidence=np.array([each.score for each in found], dtype=np.float32),
        class_id=np.zeros(len(found), dtype=int),
        tracker_id=np.array([each.id for each in found]) if tracked else None,
        data={"class_name": np.array([LABEL] * len(found))},
        metadata={"index": masks.indices[i], "time": masks.times[i]},
    )
