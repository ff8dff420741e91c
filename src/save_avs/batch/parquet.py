"""The tables of a bulk run: one row a clip, with its frames inside; one row a clip that could not be done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from save_avs._files import atomic_path
from save_avs.batch.messages import Done, Failed
from save_avs.errors import DataError
from save_avs.types import VideoMasks

FRAME = pa.struct(
    [
        ("index", pa.int64()),  # among the frames that were processed
        ("time", pa.float64()),  # seconds
        ("score", pa.float32()),  # mean probability inside the mask, 0 where it is empty
        ("counts", pa.string()),  # compressed COCO run lengths, columns first
    ]
)
CLIPS = pa.schema(
    [
        ("path", pa.string()),
        ("identity", pa.string()),
        ("status", pa.string()),
        ("model", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),
        ("duration", pa.float64()),
        ("warnings", pa.list_(pa.string())),
        ("overlay", pa.string()),
        ("seconds", pa.float64()),
        ("frames", pa.list_(FRAME)),
    ]
)
FAILED = pa.schema([(name, pa.string()) for name in ("path", "identity", "status", "reason")])


def clips_table(clips: Sequence[Done]) -> pa.Table:
    """The table of some clips."""
    return pa.Table.from_pylist([_row(clip) for clip in clips], schema=CLIPS)


def failed_table(clips: Sequence[Failed]) -> pa.Table:
    """The table of clips that could not be done."""
    rows = [
        {"path": clip.name, "identity": clip.identity, "status": clip.status, "reason": clip.reason}
        for clip in clips
    ]
    return pa.Table.from_pylist(rows, schema=FAILED)


def track_of(row: dict[str, Any]) -> VideoMasks:
    """The masks of a row of the clips' table, as ``to_pylist`` gives it."""
    frames = row["frames"]
    return VideoMasks(
        size=(row["height"], row["width"]),
        indices=tuple(frame["index"] for frame in frames),
        times=tuple(frame["time"] for frame in frames),
        scores=tuple(frame["score"] for frame in frames),
        counts=tuple(frame["counts"].encode("ascii") for frame in frames),
    )


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table, or some of its columns.

    Raises:
        DataError: it is no Parquet file, or lacks a column.
    """
    try:
        with parquet.ParquetFile(path) as file:
            return file.read(columns=None if columns is None else list(columns))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())}); remove it") from error


def write(path: Path, table: pa.Table) -> None:
    """Write a table, whole or not at all, also where the machine goes down."""
    with atomic_path(path) as part:
        sink = pa.BufferOutputStream()
        parquet.write_table(table, sink, compression="zstd")
        with part.open("wb") as file:
            file.write(sink.getvalue())
            file.flush()
            os.fsync(file.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Have a rename in a folder on the disk before anything is built on it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _row(clip: Done) -> dict[str, Any]:
    video_masks = clip.video_masks
    height, width = video_masks.size
    return {
        "path": clip.name,
        "identity": clip.identity,
        "status": "done",
        "model": clip.model,
        "width": width,
        "height": height,
        "fps": clip.fps,
        "duration": clip.duration,
        "warnings": list(clip.warnings),
        "overlay": clip.overlay,
        "seconds": clip.seconds,
        "frames": [
            {"index": index, "time": time, "score": score, "counts": counts.decode("ascii")}
            for index, time, score, counts in zip(
                video_masks.indices, video_masks.times, video_masks.scores, video_masks.counts, strict=True
            )
        ],
    }
