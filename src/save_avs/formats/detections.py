"""Masks as detections of the package supervision, which draws, filters and counts them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np

from save_avs._extras import require
from save_avs._rle import rle_bounding_box
from save_avs.formats.masks_json import LABEL
from save_avs.types import VideoMasks


def iterate_detections(masks: VideoMasks) -> Iterator[Any]:
    """Return an iterator over ``supervision.Detections``, with one detection where the mask is not empty.

    Raises:
        MissingExtraError: supervision is not installed.
    """
    require("supervision", "supervision")
    supervision: Any = import_module("supervision")
    return (_detections(supervision, masks, i) for i in range(len(masks)))


def _detections(supervision: Any, masks: VideoMasks, i: int) -> Any:
    rows, columns = rle_bounding_box(masks.counts[i], masks.size)
    found = int(rows.stop > 0)
    box = [columns.start, rows.start, columns.stop, rows.stop]
    return supervision.Detections(
        xyxy=np.array([box], dtype=np.float32)[:found],
        mask=masks.mask(i)[None][:found],
        confidence=np.array([masks.scores[i]], dtype=np.float32)[:found],
        class_id=np.zeros(found, dtype=int),
        data={"class_name": np.array([LABEL] * found)},
        metadata={"index": masks.indices[i], "time": masks.times[i]},
    )
