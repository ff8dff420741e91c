"""AVSBench-object, single source (S4): five frames, of which a training clip's first alone is annotated."""

from __future__ import annotations

from pathlib import Path

from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import ClipPaths, read_table
from save_avs.datasets.clips import ClipEntry, ImageSequenceClip
from save_avs.datasets.spec import DatasetSpec, source_video

FRAMES = 5
HOME = "Single-source"
TABLE = "s4_meta_data.csv"
COLUMNS = ("name", "start", "category", "split")


def clip_files(home: Path, *, split: str, category: str, name: str) -> ClipPaths[Path]:
    """Where a clip lies in its home. Files count frames from 1; train has the mask of frame 1 alone."""
    data, place = home / "s4_data", f"{split}/{category}/{name}"
    pictures = [f"{place}/{name}_{k + 1}.png" for k in range(FRAMES)]
    annotated = 1 if split == "train" else FRAMES
    return ClipPaths(
        frames=tuple(data / "visual_frames" / picture for picture in pictures),
        annotations=tuple(
            data / "gt_masks" / picture if k < annotated else None for k, picture in enumerate(pictures)
        ),
        wav=data / "audio_wav" / f"{place}.wav",
        log_mel=data / "audio_log_mel" / f"{place}.pkl",
    )


def _entries(home: Path, split: str, _: int) -> list[ClipEntry]:
    return [
        ImageSequenceClip(
            ClipMetadata(row["name"], source_video(row["name"]), (row["category"],)),
            clip_files(home, split=split, category=row["category"], name=row["name"]),
        )
        for row in read_table(home / TABLE, COLUMNS)
        if row["split"] == split
    ]


SPEC = DatasetSpec(
    name="s4",
    title="AVSBench-object Single-source (S4)",
    homes=(HOME, f"AVSBench-object/{HOME}"),
    tables=(TABLE,),
    counts={"train": 3452, "val": 740, "test": 740},
    entries=_entries,
)
