"""Label Studio JSON: one task per processed frame, its mask a brush prediction."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from save_avs._rle import row_run_lengths
from save_avs.formats.masks_json import LABEL, MaskDocument, write_json_rows
from save_avs.types import Bool, MaskObject

_CHANNELS = 4  # a brush is an RGBA image, 255 in all channels where it is marked
_VALUE_BITS = 8
_LENGTH_BITS = (4, 8, 12, 16)  # of a run's length less one; a run takes the shortest that holds it


def write_label_studio(path: Path, document: MaskDocument) -> None:
    """Write tasks with pre-annotations, one per line.

    They fit a labeling interface with ``<BrushLabels name="tag" toName="image">`` over ``$image``.
    """
    write_json_rows(path, _tasks(document))


def _tasks(document: MaskDocument) -> Iterator[dict[str, Any]]:
    masks = document.video_masks
    for i, (index, time, score) in enumerate(zip(masks.indices, masks.times, masks.scores, strict=True)):
        prediction = {
            "model_version": str(document.model.get("name", "")),
            "score": round(score, 6),
            "result": [_brush(each, index, rank) for rank, each in enumerate(document.annotations(i))],
        }
        data = {
            "image": document.image_name(i),
            "frame": index,
            "source_index": masks.source_indices[i],
            "time": round(time, 6),
        }
        yield {"data": data, "predictions": [prediction]}


def _brush(found: MaskObject, index: int, rank: int) -> dict[str, Any]:
    height, width = found.size
    return {
        "id": f"frame-{index}-{rank}",
        **({} if found.id is None else {"meta": {"text": [f"track_id {found.id}"]}}),
        "type": "brushlabels",
        "from_name": "tag",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": round(found.score, 6),
        "value": {"format": "rle", "rle": list(encode_brush_rle(found.mask)), "brushlabels": [LABEL]},
    }


def encode_brush_rle(mask: Bool) -> bytes:
    """Encode a mask, bool [H,W], as Label Studio encodes brushes.

    A header of 32 bits (number of values), 5 (bits of a value, less one) and four times 4 (bits of each kind
    of length, less one); then for each run a bit 1, two bits for the kind of length, the length less one, and
    the value.

    Source: the "rle-pack" format of thi.ng/umbrella, as Label Studio's documentation names it.
    """
    bits = [
        f"{mask.size * _CHANNELS:032b}",
        f"{_VALUE_BITS - 1:05b}",
        *(f"{n - 1:04b}" for n in _LENGTH_BITS),
    ]
    marked = bool(mask[0, 0])
    for length in row_run_lengths(mask):
        bits += _run_bits(length * _CHANNELS, 255 if marked else 0)
        marked = not marked
    text = "".join(bits)
    return np.packbits(np.frombuffer(text.encode(), np.uint8) - ord("0")).tobytes()


def _run_bits(length: int, value: int) -> Iterator[str]:
    longest = 1 << _LENGTH_BITS[-1]
    while length > 0:
        rest = min(length, longest) - 1
        kind = next(k for k, bits in enumerate(_LENGTH_BITS) if rest < 1 << bits)
        yield f"1{kind:02b}{rest:0{_LENGTH_BITS[kind]}b}{value:0{_VALUE_BITS}b}"
        length -= longest
