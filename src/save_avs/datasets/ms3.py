"""AVSBench-object, multiple sources (MS3): five frames, all annotated, several things may sound."""

from __future__ import annotations

from pathlib import Path

from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import ClipPaths, read_table
from save_avs.datasets.clips import ClipEntry, ImageSequenceClip
from save_avs.datasets.spec import DatasetSpec, source_video

FRAMES = 5
HOME = "Multi-sources"
TABLE = "ms3_meta_data.csv"
COLUMNS = ("video_id", "split")


def clip_files(home: Path, *, split: str, name: str) -> ClipPaths[Path]:
    """Where a clip lies in its home: frames without a split's folder, ``.mp4`` inside their names, from 1."""
    data, numbers = home / "ms3_data", range(1, FRAMES + 1)
    return ClipPaths(
        frames=tuple(data / f"visual_frames/{name}/{name}.mp4_{k}.png" for k in numbers),
        annotations=tuple(data / f"gt_masks/{split}/{name}/{name}_{k}.png" for k in numbers),
        wav=data / f"audio_wav/{split}/{name}.wav",
        log_mel=data / f"audio_log_mel/{split}/{name}.pkl",
    )


def _entries(home: Path, split: str, _: int) -> list[ClipEntry]:
    return [
        ImageSequenceClip(
            ClipMetadata(row["video_id"], source_video(row["video_id"])),
            clip_files(home, split=split, name=row["video_id"]),
        )
        for row in read_table(home / TABLE, COLUMNS)
        if row["split"] == split
    ]


SPEC = DatasetSpec(
    name="ms3",
    title="AVSBench-object Multi-sources (MS3)",
    homes=(HOME, f"AVSBench-object/{HOME}"),
    tables=(TABLE,),
    counts={"train": 296, "val": 64, "test": 64},
    entries=_entries,
)
