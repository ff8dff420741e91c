"""masks.json: the masks of a video as COCO run lengths, one line per frame."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from save_avs._files import atomic_path
from save_avs._rle import MAX_PIXELS, checked_run_lengths
from save_avs.errors import UsageError
from save_avs.types import FrameObjects, MaskObject, MaskRow, VideoMasks

LABEL = "sounding object"
VERSION = 1
_MAX_FRAMES = 1 << 31
_MAX_SIDE = (1 << 16) - 1  # of a frame, in any video format
_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class MaskDocument:
    """The masks of a video, and the video and model that they come from."""

    video_masks: VideoMasks  # one mask for each processed frame
    video: Mapping[str, Any]  # path, width, height, fps, duration, as masks.json has them
    model: Mapping[str, Any]  # describes the model
    image_prefix: str = ""  # a folder or URL to put before a frame's file name, in formats that name images

    def image_name(self, i: int) -> str:
        """Return the file name of the i-th processed frame, as the PNGs of masks are named."""
        return f"{self.image_prefix}{self.video_masks.indices[i]:06d}.png"

    def annotations(self, i: int) -> FrameObjects:
        """Return what formats annotate in the i-th processed frame: its objects, or else its mask if any."""
        masks = self.video_masks
        if masks.objects is not None:
            return masks.objects[i]
        whole = MaskObject(masks.size, masks.counts[i], masks.scores[i])
        return (whole,) if whole.area else ()


def write_masks_json(path: str | Path, document: MaskDocument) -> None:
    """Write masks.json: a line for each processed frame, empty masks included."""
    masks = document.video_masks
    frames = (
        {
            "index": masks.indices[i],
            "source_index": masks.source_indices[i],
            "time": round(masks.times[i], 6),
            "score": round(masks.scores[i], 6),
            "segmentation": rle_json(masks.size, masks.counts[i]),
            **({} if masks.objects is None else {"objects": list(map(_object_json, masks.objects[i]))}),
        }
        for i in range(len(masks))
    )
    header = {"version": VERSION, "video": dict(document.video), "model": dict(document.model)}
    start = json.dumps(header, ensure_ascii=False, allow_nan=False)[:-1]
    write_json_rows(path, frames, before=f'{start}, "frames": [', after="]}")


def _object_json(found: MaskObject) -> dict[str, Any]:
    known = {} if found.id is None else {"id": found.id}
    shape = {"bbox": list(found.box), "segmentation": rle_json(found.size, found.counts)}
    return known | {"score": round(found.score, 6)} | shape


def rle_json(size: tuple[int, int], counts: bytes) -> dict[str, Any]:
    """Return a mask as COCO's JSON has it."""
    return {"size": list(size), "counts": counts.decode("ascii")}


def write_json_rows(
    path: str | Path, rows: Iterable[Mapping[str, Any]], *, before: str = "[", after: str = "]"
) -> None:
    """Write a JSON array with one element per line, between two pieces of JSON, atomically."""
    with atomic_path(path) as part, part.open("w", encoding="utf-8", newline="\n") as out:
        out.write(before)
        for number, row in enumerate(rows):
            out.write((",\n" if number else "\n") + json.dumps(row, ensure_ascii=False, allow_nan=False))
        out.write(f"\n{after}\n")


def load_masks_json(path: str | Path, *, image_prefix: str = "") -> MaskDocument:
    """Read masks.json.

    Raises:
        UsageError: no such file, not a masks.json of this version, or a damaged one.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name the masks.json in it")
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        video, model = content["video"], content["model"]
        size = _parse_size(video, model)
        rows = [_parse_frame(entry, size) for entry in content["frames"]]
        _check_order([index for index, *_ in rows])
        objects = _parse_objects(content["frames"], size)
    except _MALFORMED as error:
        raise UsageError(f"{path}: not a masks.json, or damaged{_reason(error)}") from error
    if content.get("version") != VERSION:
        raise UsageError(f"{path} has version {content.get('version')!r}: only version {VERSION} can be read")
    return MaskDocument(VideoMasks.from_rows(size, rows, objects), video, model, image_prefix)


def _reason(error: Exception) -> str:
    match error:
        case json.JSONDecodeError() | UnicodeDecodeError():
            return ": not valid JSON"
        case KeyError():
            return f": missing key {error}"
        case RecursionError():
            return ": nested too deeply"
        case ValueError() | OverflowError():
            return f": {error}"
    return ""


def _parse_size(video: Mapping[str, Any], model: Any) -> tuple[int, int]:
    """Return (H, W) of the frames, and check the rest of the header."""
    if not isinstance(video["path"], str) or not isinstance(model, dict):
        raise TypeError("'video.path' must be a string and 'model' an object")
    if not (video["fps"] is None or math.isfinite(video["fps"])):
        raise ValueError(f"video.fps is {video['fps']}")
    height, width = int(video["height"]), int(video["width"])
    if not (0 < height <= _MAX_SIDE and 0 < width <= _MAX_SIDE and height * width <= MAX_PIXELS):
        raise ValueError(f"no video has {width} x {height} pixels")
    return height, width


def _check_order(indices: list[int]) -> None:
    for before, index in pairwise(indices):
        if index <= before:
            raise ValueError(f"frame {index} follows frame {before}: every frame once, in order")


def _parse_frame(entry: Mapping[str, Any], size: tuple[int, int]) -> MaskRow:
    """Return (index, source index, time, score, code) of a frame."""
    counts = _parse_code(entry, size, f"frame {entry['index']}")
    index, time, score = int(entry["index"]), float(entry["time"]), float(entry["score"])
    source_index = int(entry.get("source_index", index))
    if not 0 <= index < _MAX_FRAMES or not 0 <= source_index < _MAX_FRAMES:
        raise ValueError(f"frame {index} is frame {source_index} of its source")
    if not math.isfinite(time) or not math.isfinite(score):
        raise ValueError(f"frame {index} at {time} s with a score of {score}")
    return index, source_index, time, score, counts


def _parse_objects(
    frames: Sequence[Mapping[str, Any]], size: tuple[int, int]
) -> tuple[FrameObjects, ...] | None:
    """Return the objects of each frame; None where no frame has the key."""
    if not any("objects" in entry for entry in frames):
        return None
    return tuple(
        tuple(_parse_object(each, size, f"an object of frame {entry['index']}") for each in entry["objects"])
        for entry in frames
    )


def _parse_object(entry: Mapping[str, Any], size: tuple[int, int], name: str) -> MaskObject:
    number, score = entry.get("id"), float(entry["score"])
    if not math.isfinite(score) or not (number is None or (type(number) is int and 0 < number < _MAX_FRAMES)):
        raise ValueError(f"{name} has the id {number} and a score of {score}")
    found = MaskObject(size, _parse_code(entry, size, name), score, number)
    if not found.area:
        raise ValueError(f"{name} is empty")
    return found


def _parse_code(entry: Mapping[str, Any], size: tuple[int, int], name: str) -> bytes:
    rle = entry["segmentation"]
    if tuple(rle["size"]) != size:
        raise ValueError(f"{name} has size {rle['size']}, the video {list(size)}")
    counts = rle["counts"].encode("ascii", "replace")
    try:
        checked_run_lengths(counts, size)
    except ValueError as error:
        raise ValueError(f"the mask of {name} does not cover the frame: {error}") from error
    return counts
