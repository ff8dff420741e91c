"""AVSBench-object, single source (S4): five frames, of which a training clip's first alone is annotated."""

from __future__ import annotations

from pathlib import Path

from save_avs.data.benchmarks.clips import Entry, Stills
from save_avs.data.benchmarks.files import ClipFiles, read_table
from save_avs.data.benchmarks.spec import Spec, source_of
from save_avs.data.clipset import ClipFacts

FRAMES = 5
HOME = "Single-source"
TABLE = "s4_meta_data.csv"
COLUMNS = ("name", "start", "category", "split")


def clip_files(home: Path, *, split: str, category: str, name: str) -> ClipFiles[Path]:
    """Where a clip lies in its home. Files count frames from 1; train has the mask of frame 1 alone."""
    data, place = home / "s4_data", f"{split}/{category}/{name}"
    pictures = [f"{place}/{name}_{k + 1}.png" for k in range(FRAMES)]
    annotated = 1 if split == "train" else FRAMES
    return ClipFiles(
        frames=tuple(data / "visual_frames" / picture for picture in pictures),
        truths=tuple(
            data / "gt_masks" / picture if k < annotated else None for k, picture in enumerate(pictures)
        ),
        wav=data / "audio_wav" / f"{place}.wav",
        patches=data / "audio_log_mel" / f"{place}.pkl",
    )


def _entries(home: Path, split: str, _: int) -> list[Entry]:
    return [
        Stills(
            ClipFacts(row["name"], source_of(row["name"]), (row["category"],)),
            clip_files(home, split=split, category=row["category"], name=row["name"]),
        )
        for row in read_table(home / TABLE, COLUMNS)
        if row["split"] == split
    ]


SPEC = Spec(
    name="s4",
    title="AVSBench-object Single-source (S4)",
    homes=(HOME, f"AVSBench-object/{HOME}"),
    tables=(TABLE,),
    counts={"train": 3452, "val": 740, "test": 740},
    entries=_entries,
)
