"""Label Studio's JSON: a task for each processed frame, its mask a brush prediction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from save_avs._files import atomic_path
from save_avs.formats.maskset import LABEL, MaskDocument
from save_avs.formats.row_rle import row_run_lengths
from save_avs.types import Bool

_CHANNELS = 4  # a brush is a picture of red, green, blue and alpha, all of them 255 where it is marked
_WORD = 8  # bits of a value
_LENGTHS = (4, 8, 12, 16)  # bits of a run's length less one; a run takes the shortest that holds it


def write_label_studio(path: Path, masks: MaskDocument) -> None:
    """Write tasks with pre-annotations, one a line, whole or not at all.

    They fit a labeling interface with ``<BrushLabels name="tag" toName="image">`` over ``$image``.
    """
    with atomic_path(path) as part, part.open("w", encoding="utf-8", newline="\n") as out:
        for number, task in enumerate(_tasks(masks)):
            out.write((",\n" if number else "[\n") + json.dumps(task, ensure_ascii=False, allow_nan=False))
        out.write("\n]\n" if len(masks.video_masks) else "[]\n")


def _tasks(masks: MaskDocument) -> Iterator[dict[str, Any]]:
    video_masks = masks.video_masks
    for i, index in enumerate(video_masks.indices):
        mask = video_masks.mask(i)
        yield {
            "data": {"image": masks.picture(i), "frame": index, "time": round(video_masks.times[i], 6)},
            "predictions": [
                {
                    "model_version": str(masks.model.get("name", "")),
                    "score": round(video_masks.scores[i], 6),
                    "result": [_brush(mask, index)] if mask.any() else [],
                }
            ],
        }


def _brush(mask: Bool, index: int) -> dict[str, Any]:
    height, width = mask.shape
    return {
        "id": f"frame-{index}",
        "type": "brushlabels",
        "from_name": "tag",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": list(encode_brush_rle(mask)), "brushlabels": [LABEL]},
    }


def encode_brush_rle(mask: Bool) -> bytes:
    """Pack a mask, bool [H,W], as Label Studio packs brushes.

    A head of 32 bits (how many values), 5 (bits of a value, less one) and four times 4 (bits of each kind of
    length, less one); then for each run a bit 1, two bits for the kind of length, the length less one, and
    the value.

    Source: the "rle-pack" format of thi.ng/umbrella, as Label Studio's documentation names it.
    """
    bits = [f"{mask.size * _CHANNELS:032b}", f"{_WORD - 1:05b}", *(f"{n - 1:04b}" for n in _LENGTHS)]
    marked = bool(mask[0, 0])
    for length in row_run_lengths(mask):
        bits += _run_bits(length * _CHANNELS, 255 if marked else 0)
        marked = not marked
    text = "".join(bits)
    return np.packbits(np.frombuffer(text.encode(), np.uint8) - ord("0")).tobytes()


def _run_bits(length: int, value: int) -> Iterator[str]:
    longest = 1 << _LENGTHS[-1]
    while length > 0:
        rest = min(length, longest) - 1
        kind = next(k for k, bits in enumerate(_LENGTHS) if rest < 1 << bits)
        yield f"1{kind:02b}{rest:0{_LENGTHS[kind]}b}{value:0{_WORD}b}"
        length -= longest
