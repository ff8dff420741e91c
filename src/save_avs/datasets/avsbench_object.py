"""AVSBench-object: S4 (single source) and MS3 (multiple sources), clips of five frames.

S4 annotates only the first frame of a training clip; MS3 annotates all of them.
"""

from pathlib import PurePath

from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import ClipPaths, read_table
from save_avs.datasets.image_and_video_clips import ClipEntry, ImageSequenceClip
from save_avs.datasets.spec import DatasetSpec, source_video
from save_avs.datasets.stored_files import PathT

FRAMES = 5
S4_FOLDER, MS3_FOLDER = "Single-source", "Multi-sources"
S4_TABLE, MS3_TABLE = "s4_meta_data.csv", "ms3_meta_data.csv"
S4_COLUMNS, MS3_COLUMNS = ("name", "start", "category", "split"), ("video_id", "split")


def s4_paths(folder: PathT, *, split: str, category: str, name: str) -> ClipPaths[PathT]:
    """Return the files of an S4 clip. Frames count from 1; train has the mask of frame 1 only."""
    data, clip = folder / "s4_data", f"{split}/{category}/{name}"
    images = [f"{clip}/{name}_{k + 1}.png" for k in range(FRAMES)]
    annotated = 1 if split == "train" else FRAMES
    return ClipPaths(
        frames=tuple(data / "visual_frames" / image for image in images),
        annotations=tuple(
            data / "gt_masks" / image if k < annotated else None for k, image in enumerate(images)
        ),
        audio=data / "audio_wav" / f"{clip}.wav",
    )


def ms3_paths(folder: PathT, *, split: str, name: str) -> ClipPaths[PathT]:
    """Return the files of an MS3 clip. Frames count from 1, have no split folder, ``.mp4`` in their names."""
    data, numbers = folder / "ms3_data", range(1, FRAMES + 1)
    return ClipPaths(
        frames=tuple(data / f"visual_frames/{name}/{name}.mp4_{k}.png" for k in numbers),
        annotations=tuple(data / f"gt_masks/{split}/{name}/{name}_{k}.png" for k in numbers),
        audio=data / f"audio_wav/{split}/{name}.wav",
    )


def _s4_entries(folder: PurePath, split: str, _: int) -> list[ClipEntry]:
    return [
        ImageSequenceClip(
            ClipMetadata(row["name"], source_video(row["name"]), (row["category"],)),
            s4_paths(folder, split=split, category=row["category"], name=row["name"]),
        )
        for row in read_table(folder / S4_TABLE, S4_COLUMNS)
        if row["split"] == split
    ]


def _ms3_entries(folder: PurePath, split: str, _: int) -> list[ClipEntry]:
    return [
        ImageSequenceClip(
            ClipMetadata(row["video_id"], source_video(row["video_id"])),
            ms3_paths(folder, split=split, name=row["video_id"]),
        )
        for row in read_table(folder / MS3_TABLE, MS3_COLUMNS)
        if row["split"] == split
    ]


S4 = DatasetSpec(
    name="s4",
    title="AVSBench-object Single-source (S4)",
    folders=(S4_FOLDER, f"AVSBench-object/{S4_FOLDER}"),
    tables=(S4_TABLE,),
    official_counts={"train": 3452, "val": 740, "test": 740},
    entries=_s4_entries,
)
MS3 = DatasetSpec(
    name="ms3",
    title="AVSBench-object Multi-sources (MS3)",
    folders=(MS3_FOLDER, f"AVSBench-object/{MS3_FOLDER}"),
    tables=(MS3_TABLE,),
    official_counts={"train": 296, "val": 64, "test": 64},
    entries=_ms3_entries,
)
