"""Masks as programs read them: COCO run lengths in masks.json."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco

from save_avs._files import atomic_path
from save_avs.errors import UsageError
from save_avs.formats.rle import check_rle
from save_avs.types import Bool, VideoMasks

VERSION = 1
_MOST_FRAMES = 1 << 31
_DAMAGES = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)


def encode_rle(mask: Bool) -> bytes:
    """Code a mask, bool [H,W], as compressed COCO run lengths (columns first, as COCO counts)."""
    return bytes(coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"])  # type: ignore[arg-type]


class VideoMasksBuilder:
    """Collects masks, frame by frame, into a :class:`VideoMasks`; holds only their codes.

    Args:
        size: (H, W) of every mask.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._rows: list[tuple[int, float, float, bytes]] = []

    def add(self, mask: Bool, *, index: int, time: float, score: float) -> None:
        """Add the mask of a frame, bool [H,W].

        Raises:
            ValueError: the mask has another size.
        """
        if mask.shape != self._size:
            raise ValueError(f"mask of {mask.shape} in a track of {self._size}")
        self._rows.append((int(index), float(time), float(score), encode_rle(mask)))

    def video_masks(self) -> VideoMasks:
        """Hand out what was added so far."""
        return _track(self._size, self._rows)


def _track(size: tuple[int, int], rows: list[tuple[int, float, float, bytes]]) -> VideoMasks:
    indices, times, scores, counts = zip(*rows, strict=True) if rows else ((), (), (), ())
    return VideoMasks(size=size, indices=indices, times=times, scores=scores, counts=counts)


def write_masks_json(
    path: str | Path, video_masks: VideoMasks, *, video: Mapping[str, Any], model: Mapping[str, Any]
) -> None:
    """Write masks.json, whole or not at all: a line for each frame, so that it can be read by eye too.

    Args:
        path: the file.
        video_masks: every processed frame, empty masks included.
        video: path, width, height, fps, duration.
        model: whatever names the model.
    """
    with atomic_path(path) as part, part.open("w", encoding="utf-8", newline="\n") as out:
        head = {"version": VERSION, "video": dict(video), "model": dict(model)}
        out.write(json.dumps(head, ensure_ascii=False, allow_nan=False)[:-1] + ', "frames": [')
        for number, entry in enumerate(_entries(video_masks)):
            out.write((",\n" if number else "\n") + json.dumps(entry, allow_nan=False))
        out.write("\n]}\n")


def _entries(video_masks: VideoMasks) -> Iterator[dict[str, Any]]:
    for index, time, score, counts in zip(
        video_masks.indices, video_masks.times, video_masks.scores, video_masks.counts, strict=True
    ):
        segmentation = {"size": list(video_masks.size), "counts": counts.decode("ascii")}
        yield {
            "index": index,
            "time": round(time, 6),
            "score": round(score, 6),
            "segmentation": segmentation,
        }


def load_masks_json(path: str | Path) -> tuple[VideoMasks, dict[str, Any]]:
    """Read masks.json: the track, and the rest of the file ({"version", "video", "model"}).

    Raises:
        UsageError: no such file, not a masks.json of this version, or a damaged one.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(
            f"{path}: {'a folder; give the masks.json in it' if path.is_dir() else 'no such file'}"
        )
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        frames = meta.pop("frames")
        _check_head(meta)
        size = (int(meta["video"]["height"]), int(meta["video"]["width"]))
        rows = [_row(entry, size) for entry in frames]
    except _DAMAGES as error:
        raise UsageError(f"{path}: not a masks.json of this program, or damaged{_why(error)}") from error
    if meta.get("version") != VERSION:
        raise UsageError(f"{path}: version {meta.get('version')!r}, this program reads version {VERSION}")
    return _track(size, rows), meta


def _why(error: Exception) -> str:
    match error:
        case json.JSONDecodeError() | UnicodeDecodeError():
            return ": it is not JSON"
        case KeyError():
            return f": it lacks {error}"
        case RecursionError():
            return ": it nests too deep"
        case ValueError() | OverflowError():
            return f": {error}"
    return ""


def _check_head(meta: Mapping[str, Any]) -> None:
    """See whether what is told of video and model is what ``write_masks_json`` tells.

    Raises:
        ValueError, KeyError, TypeError: when it is not.
    """
    video, model = meta["video"], meta["model"]
    if not isinstance(video["path"], str) or not isinstance(model, dict):
        raise TypeError("the video's path is no text, or the model no object")
    if not (video["fps"] is None or math.isfinite(video["fps"])):
        raise ValueError(f"a video of {video['fps']} frames a second")


def _row(entry: Mapping[str, Any], size: tuple[int, int]) -> tuple[int, float, float, bytes]:
    code = entry["segmentation"]
    if tuple(code["size"]) != size:
        raise ValueError(f"frame {entry['index']} is of size {code['size']}, the video of {list(size)}")
    counts = code["counts"].encode("ascii", "replace")
    try:
        check_rle(counts, size)
    except ValueError as error:
        raise ValueError(f"the mask of frame {entry['index']} does not cover its picture: {error}") from error
    index, time, score = int(entry["index"]), float(entry["time"]), float(entry["score"])
    if not 0 <= index < _MOST_FRAMES or not math.isfinite(time) or not math.isfinite(score):
        raise ValueError(f"frame {index} at {time} s with a score of {score}")
    return index, time, score, counts
