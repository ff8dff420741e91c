"""Parquet tables of a batch run: one row per video with its masks inside, one row per failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from save_avs._extras import require

require("cluster", "pyarrow")

import pyarrow as pa  # noqa: E402, after the guard
from pyarrow import parquet  # noqa: E402, after the guard

from save_avs._text import one_line  # noqa: E402, after the guard
from save_avs.errors import DataError  # noqa: E402, after the guard
from save_avs.inference.result import SegmentationResult  # noqa: E402, after the guard
from save_avs.types import VideoMasks  # noqa: E402, after the guard

DONE = "done"

FRAME = pa.struct(
    [
        ("index", pa.int64()),  # among the processed frames
        ("source_index", pa.int64()),  # among all frames of the video
        ("time", pa.float64()),  # seconds
        ("score", pa.float32()),  # mean probability inside the mask, 0 where it is empty
        ("counts", pa.string()),  # compressed COCO run lengths, column by column
    ]
)
VIDEOS = pa.schema(
    [
        ("path", pa.string()),
        ("version", pa.string()),
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
FAILURES = pa.schema([(name, pa.string()) for name in ("path", "version", "status", "reason")])


def video_row(result: SegmentationResult, **columns: Any) -> dict[str, Any]:
    """Return the row of a segmented video; ``columns`` adds what the result does not know."""
    masks = result.video_masks
    height, width = masks.size
    return {
        "status": DONE,
        "width": width,
        "height": height,
        "fps": result.video.fps,
        "duration": result.video.duration,
        "warnings": list(result.warnings),
        "frames": [
            {
                "index": masks.indices[i],
                "source_index": masks.source_indices[i],
                "time": masks.times[i],
                "score": masks.scores[i],
                "counts": masks.counts[i].decode("ascii"),
            }
            for i in range(len(masks))
        ],
        **columns,
    }


def video_masks(row: Mapping[str, Any]) -> VideoMasks:
    """Return the masks of a row of the videos' table, as ``to_pylist`` gives it."""
    frames = row["frames"]
    return VideoMasks(
        size=(row["height"], row["width"]),
        indices=tuple(frame["index"] for frame in frames),
        source_indices=tuple(frame["source_index"] for frame in frames),
        times=tuple(frame["time"] for frame in frames),
        scores=tuple(frame["score"] for frame in frames),
        counts=tuple(frame["counts"].encode("ascii") for frame in frames),
    )


def to_parquet(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> bytes:
    """Return rows as the content of a Parquet file."""
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def from_parquet(content: bytes, name: str, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a Parquet file.

    Raises:
        DataError: not a Parquet file, or a column is missing.
    """
    try:
        return parquet.read_table(pa.BufferReader(content), columns=columns and list(columns)).to_pylist()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(f"{name}: not readable ({one_line(error)}); delete it") from error
